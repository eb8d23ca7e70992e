// Starts a job of an image with a program of its own, with four channels and an environment, and waits.
// Argument: a bucket. The endpoint and the keys come from the environment.
package main

import (
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/sagemaker"
)

func channel(bucket, name string) *sagemaker.Channel {
	return &sagemaker.Channel{
		ChannelName: aws.String(name),
		DataSource: &sagemaker.DataSource{S3DataSource: &sagemaker.S3DataSource{
			S3DataType:             aws.String("S3Prefix"),
			S3DataDistributionType: aws.String("FullyReplicated"),
			S3Uri:                  aws.String("s3://" + bucket + "/converts/" + name),
		}},
	}
}

func main() {
	bucket := os.Args[1]
	options := session.Options{SharedConfigState: session.SharedConfigEnable}
	// This generation of the SDK does not read AWS_ENDPOINT_URL by itself.
	options.Config.Endpoint = aws.String(os.Getenv("AWS_ENDPOINT_URL"))
	sess := session.Must(session.NewSessionWithOptions(options))
	svc := sagemaker.New(sess)
	name := fmt.Sprintf("training-%d", time.Now().Unix())
	_, err := svc.CreateTrainingJob(&sagemaker.CreateTrainingJobInput{
		TrainingJobName: aws.String(name),
		RoleArn:         aws.String("arn:aws:iam::123456789012:role/sagemaker-role"),
		AlgorithmSpecification: &sagemaker.AlgorithmSpecification{
			TrainingImage:     aws.String("123456789012.dkr.ecr.ap-southeast-1.amazonaws.com/own-model"),
			TrainingInputMode: aws.String("File"),
		},
		InputDataConfig: []*sagemaker.Channel{
			channel(bucket, "training"), channel(bucket, "evaluation"),
			channel(bucket, "checkpoint"), channel(bucket, "config"),
		},
		OutputDataConfig: &sagemaker.OutputDataConfig{S3OutputPath: aws.String("s3://" + bucket + "/outputs/")},
		ResourceConfig: &sagemaker.ResourceConfig{
			InstanceCount:  aws.Int64(1),
			InstanceType:   aws.String("ml.m4.xlarge"),
			VolumeSizeInGB: aws.Int64(50),
		},
		StoppingCondition: &sagemaker.StoppingCondition{MaxRuntimeInSeconds: aws.Int64(3600)},
		Environment: map[string]*string{
			"FOO": aws.String("bar"),
			"BAR": aws.String("foo"),
		},
		HyperParameters: map[string]*string{
			"learning_rate": aws.String("0.5"),
			"end_rate":      aws.String("0.6"),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for {
		job, err := svc.DescribeTrainingJob(&sagemaker.DescribeTrainingJobInput{TrainingJobName: aws.String(name)})
		if err != nil {
			log.Fatal(err)
		}
		if status := aws.StringValue(job.TrainingJobStatus); status != "InProgress" {
			fmt.Printf("status=%s reason=%s model=%s\n", status, aws.StringValue(job.FailureReason),
				aws.StringValue(job.ModelArtifacts.S3ModelArtifacts))
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}
