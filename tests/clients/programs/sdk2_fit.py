"""SageMaker SDK v2: Estimator.fit in script mode, logs streamed. Arguments: bucket, folder."""

import sys
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator

bucket, folder = sys.argv[1:]
session = sagemaker.Session(default_bucket=bucket)
data = session.upload_data(str(Path(folder) / "data"), key_prefix="data/train")
estimator = Estimator(
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
    role="arn:aws:iam::123456789012:role/sagemaker-role",
    instance_count=1,
    instance_type="ml.m5.large",
    entry_point="train.py",
    source_dir=str(Path(folder) / "code"),
    hyperparameters={"epochs": 30, "learning-rate": 0.05},
    metric_definitions=[{"Name": "loss", "Regex": r"loss=([0-9.]+)"}],
    sagemaker_session=session,
    output_path=f"s3://{bucket}/models",
)
estimator.fit({"train": data}, logs=True)
job = estimator.latest_training_job.name
print(f"model_data={estimator.model_data}")
attached = Estimator.attach(job, sagemaker_session=session)
print(f"attached={attached.latest_training_job.name == job}")
