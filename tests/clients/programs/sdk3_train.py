"""SageMaker SDK v3: ModelTrainer.train in script mode. Arguments: bucket, folder."""

import logging
import sys
from pathlib import Path

from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode

# The SDK logs the job's lines, and leaves it to the program to show them.
logging.basicConfig(level=logging.INFO)
bucket, folder = sys.argv[1:]
session = Session(default_bucket=bucket)
data = session.upload_data(str(Path(folder) / "data"), bucket=bucket, key_prefix="data/train3")
trainer = ModelTrainer(
    training_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
    role="arn:aws:iam::123456789012:role/sagemaker-role",
    sagemaker_session=session,
    source_code=SourceCode(source_dir=str(Path(folder) / "code"), entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/models3"),
    hyperparameters={"epochs": 30, "learning-rate": 0.05},
    base_job_name="sdk3",
)
trainer.train(input_data_config=[InputData(channel_name="train", data_source=data)])
job = trainer._latest_training_job
print(f"status={job.training_job_status}")
print(f"model_data={job.model_artifacts.s3_model_artifacts}")
