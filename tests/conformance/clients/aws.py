"""Amazon Web Services' own SDK, and the command line that is built upon it. Both take the parameters of the API by its names."""

import json
import os
import re
import subprocess
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from . import Refused

REGION = "us-east-1"


def service_of(operation):
    return "sts" if operation in ("get_caller_identity", "assume_role") else "ec2"


class Boto3:
    """boto3. Without retries: each call is one request."""

    def __init__(self, cloud):
        self.cloud, self.held = cloud, {}

    def client(self, key, service, region):
        """Kept, because making one reads the whole model of the API."""
        if (key, service, region) not in self.held:
            access, secret, *token = key
            self.held[key, service, region] = boto3.client(
                service, region_name=region, endpoint_url=self.cloud, aws_access_key_id=access,
                aws_secret_access_key=secret, aws_session_token=token[0] if token else None,
                config=Config(retries={"total_max_attempts": 1}, proxies={}),
            )  # fmt: skip
        return self.held[key, service, region]

    def call(self, key, operation, region=REGION, **parameters):
        client = self.client(key, service_of(operation), region)
        try:
            return getattr(client, operation)(**parameters)
        except ClientError as error:
            raise Refused(
                error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            ) from error


class Cli:
    """awscli. Its errors do not tell the status. Each call is a process that reads the whole model of the API."""

    ERROR = re.compile(r"An error occurred \(([^)]+)\)")

    def __init__(self, cloud):
        self.cloud = cloud

    def call(self, key, operation, region=REGION, **parameters):
        access, secret, *token = key
        environment = {
            **os.environ, "AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret, "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
        environment.pop("AWS_SESSION_TOKEN", None)
        if token:
            environment["AWS_SESSION_TOKEN"] = token[0]
        command = [
            sys.executable, "-m", "awscli", service_of(operation), operation.replace("_", "-"), "--region", region,
            "--endpoint-url", self.cloud, "--output", "json", "--cli-input-json", json.dumps(parameters),
        ]  # fmt: skip
        if operation.startswith("describe_image") or operation.startswith("describe_snapshots"):
            command.append("--no-paginate")
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode != 0:
            refusal = self.ERROR.search(done.stderr)
            raise Refused(refusal.group(1), None) if refusal else AssertionError(done.stderr)
        return json.loads(done.stdout or "{}")
