"""The sample of "Analyze data in Amazon DynamoDB using Amazon SageMaker for real-time prediction",
asking the gateway: what differs from the article is endpoint_url."""
import json
import os

import boto3

runtime = boto3.client("sagemaker-runtime", endpoint_url=os.environ["GATEWAY_URL"])

response = runtime.invoke_endpoint(
    EndpointName="ServiceEndpoint",
    ContentType="text/csv",
    Body="34,10,2,4,1,2,1,1,6,3,190,1,3,4,3,-1.7,94.055,-39.8,0.715,4991.6",
)
print(json.dumps(json.loads(response["Body"].read())))
