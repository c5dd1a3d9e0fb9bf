"""Huawei Cloud's own SDK with each of its signatures, and the one of OpenStack."""

import time

import openstack
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, ServerResponseException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkcore.signer.algorithm import SigningAlgorithm
from huaweicloudsdkiam import v3 as iam
from huaweicloudsdkims import v2 as ims
from openstack.exceptions import HttpException

from . import Refused

REGION = "cn-north-4"
# The longest a job may take before the life is given up, in seconds.
PATIENCE = 30
PROJECTS = {"owner": "0a" + "0" * 30, "first": "1a" + "0" * 30}
KEYS = {
    "owner": ("OWNERKEY", "owner-secret"),
    "first": ("FIRSTKEY", "first-secret"),
    "wrong": ("FIRSTKEY", "wrong"),
    "temporary": ("TEMPORARY", "temporary-secret", "tok/en+="),
}


class Own:
    """huaweicloudsdkims."""

    def __init__(self, cloud, algorithm=SigningAlgorithm.HMAC_SHA256, derived=False):
        self.cloud, self.algorithm, self.derived = cloud, algorithm, derived

    def client(self, who):
        """Of somebody of the world, or of a key, its secret, its token and its project."""
        key, secret, *token = KEYS[who] if isinstance(who, str) else who[:3]
        project = who[3] if isinstance(who, tuple) else PROJECTS["first" if who in ("first", "wrong") else "owner"]
        credentials = BasicCredentials(key, secret, project)
        if token:
            credentials = credentials.with_security_token(token[0])
        if self.derived:
            credentials = credentials.with_derived_predicate(lambda request: True)
            # The SDK's client of the image service names no service to derive a key for; those of newer services do.
            credentials._process_derived_auth_params("ims", REGION)
        config = HttpConfig(signing_algorithm=self.algorithm)
        builder = ims.ImsClient.new_builder().with_http_config(config).with_credentials(credentials)
        return builder.with_region(Region(REGION, self.cloud)).build()

    def ask(self, who, operation, request):
        try:
            return getattr(self.client(who), operation)(request)
        except (ClientRequestException, ServerResponseException) as error:
            raise Refused(error.error_code, error.status_code) from error

    def assume(self, agency):
        """A temporary key of the first recipient's domain, by an agency that it delegated to the owner's."""
        key, secret = KEYS["owner"]
        config = HttpConfig(signing_algorithm=self.algorithm)
        builder = iam.IamClient.new_builder().with_http_config(config)
        builder = builder.with_credentials(GlobalCredentials(key, secret, "d0" + "0" * 30))
        role = iam.IdentityAssumerole(agency_name=agency, domain_name="recipients", duration_seconds=900)
        identity = iam.AgencyAuthIdentity(methods=["assume_role"], assume_role=role)
        body = iam.CreateTemporaryAccessKeyByAgencyRequestBody(auth=iam.AgencyAuth(identity=identity))
        request = iam.CreateTemporaryAccessKeyByAgencyRequest(body=body)
        try:
            client = builder.with_region(Region(REGION, self.cloud)).build()
            given = client.create_temporary_access_key_by_agency(request).credential
        except (ClientRequestException, ServerResponseException) as error:
            raise Refused(error.error_code, error.status_code) from error
        return given.access, given.secret, given.securitytoken, PROJECTS["first"]

    def finish(self, who, response):
        deadline = time.monotonic() + PATIENCE
        while True:
            job = self.ask(who, "show_job", ims.ShowJobRequest(job_id=response.job_id))
            if job.status in ("SUCCESS", "FAIL"):
                return job
            if time.monotonic() > deadline:
                raise AssertionError(f"the job is still {job.status}")
            time.sleep(0.01)

    def images(self, who, **filters):
        return [(one.id, one.name) for one in self.ask(who, "list_images", ims.ListImagesRequest(**filters)).images]

    def share(self, image, projects):
        body = ims.BatchAddMembersRequestBody(images=[image], projects=projects)
        self.finish("owner", self.ask("owner", "batch_add_members", ims.BatchAddMembersRequest(body=body)))

    def unshare(self, image, projects):
        body = ims.BatchAddMembersRequestBody(images=[image], projects=projects)
        self.finish("owner", self.ask("owner", "batch_delete_members", ims.BatchDeleteMembersRequest(body=body)))

    def members(self, image):
        """By pages of two."""
        found, marker = {}, None
        while True:
            request = ims.ListImageMembersRequest(image_id=image, limit=2, marker=marker)
            page = self.ask("owner", "list_image_members", request)
            found.update({one.member_id: one.status for one in page.members})
            marker = page.page_info.next_marker
            if not marker:
                return found

    def offered(self, status):
        return [id for id, _ in self.images("first", visibility="shared", member_status=status)]

    def answer(self, image, status):
        body = ims.BatchUpdateMembersRequestBody(images=[image], project_id=PROJECTS["first"], status=status)
        self.finish("first", self.ask("first", "batch_update_members", ims.BatchUpdateMembersRequest(body=body)))

    def copy(self, image, name):
        body = ims.CopyImageInRegionRequestBody(name=name)
        request = ims.CopyImageInRegionRequest(image_id=image, body=body)
        return self.finish("owner", self.ask("owner", "copy_image_in_region", request)).entities.image_id

    def rename(self, image, name):
        body = [ims.UpdateImageRequestBody(op="replace", path="/name", value=name)]
        return self.ask("owner", "update_image", ims.UpdateImageRequest(image_id=image, body=body)).name

    def tag(self, image, key, value):
        body = ims.AddImageTagRequestBody(tag=ims.ResourceTag(key=key, value=value))
        self.ask("owner", "add_image_tag", ims.AddImageTagRequest(image_id=image, body=body))
        tags = self.ask("owner", "list_image_tags", ims.ListImageTagsRequest(image_id=image)).tags
        return {one.key: one.value for one in tags}

    def delete(self, image):
        self.ask("owner", "glance_delete_image", ims.GlanceDeleteImageRequest(image_id=image))

    def quota(self, who):
        return self.ask(who, "show_image_quota", ims.ShowImageQuotaRequest()).quotas.resources[0].type


class OpenStack:
    """openstacksdk. It has no copies, and renews a token that has expired by itself."""

    USERS = {"owner": ("owners", "owner-secret", "owner"), "first": ("recipients", "first-secret", "first")}

    def __init__(self, cloud):
        self.cloud, self.held = cloud, {}

    def image(self, who):
        domain, password, user = self.USERS["first" if who == "wrong" else who]
        if who not in self.held:
            auth = {
                "auth_url": f"{self.cloud}/v3", "username": user, "user_domain_name": domain,
                "password": "wrong" if who == "wrong" else password, "project_name": REGION, "project_domain_name": domain,
            }  # fmt: skip
            self.held[who] = openstack.connection.Connection(auth=auth, region_name=REGION)
        return self.held[who].image

    def ask(self, who, operation, *args, **kwargs):
        try:
            result = getattr(self.image(who), operation)(*args, **kwargs)
            return list(result) if hasattr(result, "__next__") else result
        except HttpException as error:
            raise Refused(code_of(error), error.status_code) from error
        except openstack.exceptions.SDKException as error:
            raise Refused("Unauthorized", 401) from error
        except Exception as error:  # keystoneauth has its own
            raise Refused(getattr(error, "message", str(error)), getattr(error, "http_status", 0)) from error

    def images(self, who, imagetype=None, **filters):
        if imagetype:
            filters["visibility"] = imagetype
        return [(one.id, one.name) for one in self.ask(who, "images", **filters)]

    def share(self, image, projects):
        for project in projects:
            self.ask("owner", "add_member", image, member_id=project)

    def unshare(self, image, projects):
        for project in projects:
            self.ask("owner", "remove_member", project, image, ignore_missing=False)

    def members(self, image):
        return {one.member_id: one.status for one in self.ask("owner", "members", image)}

    def offered(self, status):
        return [one.id for one in self.ask("first", "images", visibility="shared", member_status=status)]

    def answer(self, image, status):
        self.ask("first", "update_member", PROJECTS["first"], image, status=status)

    def copy(self, image, name):
        raise NotImplementedError

    def rename(self, image, name):
        return self.ask("owner", "update_image", image, name=name).name

    def tag(self, image, key, value):
        self.ask("owner", "add_tag", image, f"{key}={value}")
        return dict(tag.split("=") for tag in self.ask("owner", "get_image", image).tags)

    def delete(self, image):
        self.ask("owner", "delete_image", image, ignore_missing=False)

    def quota(self, who):
        self.ask(who, "images", limit=1)
        return "image"


def code_of(error):
    """The vendor's code in an error of OpenStack's SDK."""
    try:
        body = error.response.json()
    except (AttributeError, ValueError):
        return ""
    inner = body.get("error", {})
    return body.get("error_code") or (inner.get("code") if isinstance(inner, dict) else "")
