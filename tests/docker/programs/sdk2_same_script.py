"""SageMaker SDK v2: the same script on several images. Arguments: bucket, folder, images."""

import sys

import sagemaker
from sagemaker.estimator import Estimator

bucket, folder, *images = sys.argv[1:]
session = sagemaker.Session(default_bucket=bucket)
for image in images:
    estimator = Estimator(
        image_uri=image,
        role="arn:aws:iam::123456789012:role/sagemaker-role",
        instance_count=1,
        instance_type="ml.m5.large",
        entry_point="weights.py",
        source_dir=folder,
        hyperparameters={"epochs": 5, "learning-rate": 0.05, "note": "a text"},
        sagemaker_session=session,
        output_path=f"s3://{bucket}/output",
    )
    estimator.fit({"train": f"s3://{bucket}/points/"}, wait=False)
    print(f"job={estimator.latest_training_job.name}")
