"""Alibaba Cloud's two generations of SDK: signature version 3, and version 1.0 of the RPC style."""

import importlib
import json

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_sts20150401 import models as sts
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config

from . import Refused

REGION = "cn-hangzhou"
OF_STS = {"GetCallerIdentity", "AssumeRole"}


def snake(name):
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")


class Current:
    """alibabacloud_ecs20140526, with the signature algorithm it is told."""

    def __init__(self, cloud, algorithm=None):
        self.cloud, self.algorithm = cloud.removeprefix("http://"), algorithm

    def config(self, key, secret, token=None):
        return Config(
            access_key_id=key, access_key_secret=secret, security_token=token, endpoint=self.cloud, protocol="http",
            signature_algorithm=self.algorithm,
        )  # fmt: skip

    def call(self, key, action, **parameters):
        try:
            if action == "GetCallerIdentity":
                return Sts(self.config(*key)).get_caller_identity().body.to_map()
            if action == "AssumeRole":
                role = sts.AssumeRoleRequest().from_map(parameters)
                return Sts(self.config(*key)).assume_role(role).body.to_map()
            request = getattr(ecs, f"{action}Request")().from_map({"RegionId": REGION, **parameters})
            return getattr(Ecs(self.config(*key)), snake(action))(request).body.to_map()
        except AlibabaCloudException as error:
            raise Refused(error.code, error.status_code) from error


class Legacy:
    """aliyun-python-sdk-core and aliyun-python-sdk-ecs."""

    # The one list that has another name in this SDK's methods than on the wire and an "s".
    PLURAL = {"AddAccount", "RemoveAccount", "Tag", "ResourceId", "TagKey"}

    def __init__(self, cloud, method=None):
        self.cloud, self.method = cloud.removeprefix("http://"), method

    def call(self, key, action, **parameters):
        of = "aliyunsdksts.request.v20150401" if action in OF_STS else "aliyunsdkecs.request.v20140526"
        request = getattr(importlib.import_module(f"{of}.{action}Request"), f"{action}Request")()
        for name, value in parameters.items():
            plural = name in self.PLURAL and isinstance(value, list)
            getattr(request, f"set_{name}s" if plural else f"set_{name}")(value)
        request.set_endpoint(self.cloud)
        request.set_protocol_type("http")
        request.set_accept_format("json")
        if self.method:
            request.set_method(self.method)
        if len(key) == 3:
            client = AcsClient(region_id=REGION, credential=StsTokenCredential(*key), auto_retry=False)
        else:
            client = AcsClient(*key, REGION, auto_retry=False)
        try:
            return json.loads(client.do_action_with_exception(request))
        except ServerException as error:
            raise Refused(error.get_error_code(), error.get_http_status()) from error
