"""Drives the simulator with boto3 and compares every answer with what Amazon Web Services promises.

Usage: aws_sdk.py AWS_URL ADMIN_URL, on a world of aws-world.yaml.
"""

import functools
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from checks import ask_admin, same

AWS, ADMIN = sys.argv[1:]
admin = functools.partial(ask_admin, ADMIN)
OWNER, RECIPIENT, OTHER = "111122223333", "444455556666", "777788889999"
GOLDEN, SECRET, SNAPSHOT = "ami-00000000000000001", "ami-00000000000000002", "snap-00000000000000001"
UNIT = "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678"


def client(key, secret, service="ec2", region="us-east-1", token=None):
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    return boto3.client(
        service, region_name=region, endpoint_url=AWS, aws_access_key_id=key, aws_secret_access_key=secret,
        aws_session_token=token, config=config,
    )  # fmt: skip


owner = client("AKIAOWNER", "owner-secret")
recipient = client("AKIARECIPIENT", "recipient-secret")


def refused(what, code, call, status=400):
    try:
        call()
    except ClientError as error:
        same(f"{what}: code", error.response["Error"]["Code"], code)
        same(f"{what}: status", error.response["ResponseMetadata"]["HTTPStatusCode"], status)
        same(f"{what}: request id given", bool(error.response["ResponseMetadata"].get("RequestId")), True)
        return error.response["Error"]["Message"]
    raise AssertionError(f"{what}: succeeded, expected {code}")


def share(add=(), remove=(), image=GOLDEN, **rest):
    change = {"Add": [{"UserId": id} for id in add], "Remove": [{"UserId": id} for id in remove]}
    return owner.modify_image_attribute(ImageId=image, LaunchPermission=change, **rest)


def permissions():
    answer = owner.describe_image_attribute(ImageId=GOLDEN, Attribute="launchPermission")
    same("of the image asked for", answer["ImageId"], GOLDEN)
    return [value for row in answer["LaunchPermissions"] for value in row.values()]


def images(who=owner, **filters):
    pages = who.get_paginator("describe_images").paginate(PaginationConfig={"PageSize": 5}, **filters)
    return [one["ImageId"] for page in pages for one in page["Images"]]


def check_regions():
    rows = owner.describe_regions(AllRegions=True)["Regions"]
    same("opt-in", [row["OptInStatus"] for row in rows], ["opt-in-not-required", "opt-in-not-required", "not-opted-in"])
    far = client("AKIAOWNER", "owner-secret", region="af-south-1")
    message = refused("a region not opted in to", "AuthFailure", far.describe_images, 401)
    same("as wrong credentials are told", message, "AWS was not able to validate the provided access credentials")


def check_identity():
    same("account", client("AKIAOWNER", "owner-secret", "sts").get_caller_identity()["Account"], OWNER)
    wrong = client("AKIAOWNER", "wrong", "sts")
    refused("a wrong secret", "SignatureDoesNotMatch", wrong.get_caller_identity, 403)
    nobody = client("AKIANOBODY", "wrong", "sts")
    refused("an unknown key", "InvalidClientTokenId", nobody.get_caller_identity, 403)


def check_roles():
    role = {"RoleArn": f"arn:aws:iam::{RECIPIENT}:role/images", "RoleSessionName": "imageshare"}
    sts = client("AKIAOWNER", "owner-secret", "sts")
    refused("without its external id", "AccessDenied", lambda: sts.assume_role(**role), 403)
    assumed = sts.assume_role(ExternalId="cluster/team/aws", DurationSeconds=900, **role)["Credentials"]
    unsigned = boto3.client("sts", region_name="us-east-1", endpoint_url=AWS, config=Config(signature_version=UNSIGNED))
    by_web = unsigned.assume_role_with_web_identity(WebIdentityToken="header.claims.signature", **role)["Credentials"]
    for given in (assumed, by_web):
        session = client(given["AccessKeyId"], given["SecretAccessKey"], "sts", token=given["SessionToken"])
        same("the role's account", session.get_caller_identity()["Account"], RECIPIENT)
    admin("PUT", "/clock", {"advanceSeconds": 901})
    late = client(assumed["AccessKeyId"], assumed["SecretAccessKey"], token=assumed["SessionToken"])
    refused("after its time, and the clock is off as well", "RequestExpired", late.describe_images)
    admin("PUT", "/clock", {"offsetSeconds": 0})


def check_images():
    same("own ones by pages", images(Owners=["self"]), [GOLDEN, SECRET])
    same("nobody's", images(recipient, ExecutableUsers=["self"]), [])
    (row,) = owner.describe_images(ImageIds=[GOLDEN])["Images"]
    same("its state", (row["State"], row["Public"], row["OwnerId"]), ("available", False, OWNER))
    same("its snapshot", [one["Ebs"]["SnapshotId"] for one in row["BlockDeviceMappings"]], [SNAPSHOT])
    refused("not seen", "InvalidAMIID.NotFound", lambda: recipient.describe_images(ImageIds=[GOLDEN]))
    refused("no id", "InvalidAMIID.Malformed", lambda: owner.describe_images(ImageIds=["golden"]))


def check_sharing():
    share([RECIPIENT, OTHER])
    share([RECIPIENT], [OTHER, "999988887777"])
    same("after both ways", permissions(), [RECIPIENT])
    same("received", images(recipient, ExecutableUsers=["self"]), [GOLDEN])
    (row,) = recipient.describe_images(ImageIds=[GOLDEN])["Images"]
    same("the tags for recipients", row["Tags"], [{"Key": "ec2:SharedTag/os", "Value": "linux"}])
    unit = {"OrganizationalUnitArn": UNIT}
    change = {"Add": [unit], "Remove": [{"UserId": RECIPIENT}]}
    owner.modify_image_attribute(ImageId=GOLDEN, LaunchPermission=change)
    same("by its unit", images(recipient, ExecutableUsers=["self"]), [GOLDEN])
    leave = lambda: recipient.cancel_image_launch_permission(ImageId=GOLDEN)  # noqa: E731
    refused("leaving a unit's share", "InvalidAMIID.NotFound", leave)
    owner.modify_image_attribute(ImageId=GOLDEN, LaunchPermission={"Remove": [unit]})
    share([RECIPIENT])
    same("left", leave()["Return"], True)
    same("nobody", permissions(), [])


def check_refusals():
    message = refused("no account", "InvalidAMIAttributeItemValue", lambda: share([RECIPIENT, "12345"]))
    same("which", message, 'Invalid attribute item value "12345" for userId item type.')
    same("nothing applied", permissions(), [])
    message = refused("the default key", "InvalidParameter", lambda: share([RECIPIENT], image=SECRET))
    same("told as AWS does", "AWS Managed CMK" in message, True)
    refused("a dry run", "DryRunOperation", lambda: share([RECIPIENT], DryRun=True), 412)
    mine = lambda: recipient.describe_image_attribute(ImageId=GOLDEN, Attribute="launchPermission")  # noqa: E731
    refused("not seen", "InvalidAMIID.NotFound", mine)
    share([RECIPIENT])
    same("whose", refused("not the owner", "AuthFailure", mine), f"Not authorized for image:{GOLDEN}")


def check_quota():
    accounts = [f"{n:012}" for n in range(999)]
    share(accounts[:500])
    share(accounts[500:])
    same("a thousand in two calls", len(permissions()), 1000)
    refused("one more", "ResourceLimitExceeded", lambda: share([OTHER]))
    quotas = client("AKIAOWNER", "owner-secret", "service-quotas")
    quota = quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-70015FFA")["Quota"]
    same("the quota", quota["Value"], 1000)
    share(remove=accounts)
    same("the recipient alone", permissions(), [RECIPIENT])


def check_copies():
    asked = {"Name": "golden copy", "SourceImageId": GOLDEN, "SourceRegion": "us-east-1", "ClientToken": "t"}
    message = refused("without the snapshot", "InvalidRequest", lambda: recipient.copy_image(**asked))
    same("why", message, "You do not have permission to access the storage of this ami")
    owner.modify_snapshot_attribute(
        SnapshotId=SNAPSHOT, Attribute="createVolumePermission", CreateVolumePermission={"Add": [{"UserId": RECIPIENT}]}
    )
    rows = owner.describe_snapshot_attribute(SnapshotId=SNAPSHOT, Attribute="createVolumePermission")
    same("may make volumes", rows["CreateVolumePermissions"], [{"UserId": RECIPIENT}])
    copy = recipient.copy_image(**asked)["ImageId"]
    same("asked again", recipient.copy_image(**asked)["ImageId"], copy)
    other = lambda: recipient.copy_image(**{**asked, "Name": "another"})  # noqa: E731
    refused("another by its token", "IdempotentParameterMismatch", other)
    recipient.get_waiter("image_exists").wait(ImageIds=[copy])
    (row,) = recipient.describe_images(ImageIds=[copy])["Images"]
    same("it is made", (row["State"], row["SourceImageId"]), ("pending", GOLDEN))
    admin("PUT", "/clock", {"advanceSeconds": 500})
    recipient.get_waiter("image_available").wait(ImageIds=[copy])
    # Further on, the clock would be too far from the client's.
    admin("PUT", "/clock", {"offsetSeconds": 0})
    lost = recipient.copy_image(Name="lost", SourceImageId=GOLDEN, SourceRegion="us-east-1", Encrypted=True, KmsKeyId="none")
    admin("PUT", "/clock", {"advanceSeconds": 500})
    (row,) = recipient.describe_images(ImageIds=[lost["ImageId"]])["Images"]
    same("a key that is none", (row["State"], row["StateReason"]["Message"]), ("failed", "Given key ID is not accessible"))
    admin("PUT", "/clock", {"offsetSeconds": 0})


def check_usage():
    report = owner.create_image_usage_report(ImageId=GOLDEN, ResourceTypes=[{"ResourceType": "ec2:Instance"}])["ReportId"]
    owner.get_waiter("image_usage_report_available").wait(ReportIds=[report], WaiterConfig={"Delay": 1})
    rows = owner.describe_image_usage_report_entries(ReportIds=[report])["ImageUsageReportEntries"]
    same("who uses it", [(row["AccountId"], row["UsageCount"]) for row in rows], [(RECIPIENT, 3)])


def check_faults():
    def once(then):
        admin("POST", "/faults", {"faults": [{"count": 1, "then": then}]})

    once({"kind": "throttle", "retryAfterMillis": 10})
    refused("throttled", "RequestLimitExceeded", permissions, 503)
    once({"kind": "unavailable"})
    refused("unavailable", "Unavailable", permissions, 503)
    once({"kind": "cutAfter"})
    try:
        share([OTHER])
    except HTTPClientError as error:
        print(f"  cut: the SDK raised {type(error).__name__}")
    else:
        raise AssertionError("a cut connection was taken for an answer")
    same("the effect stands", permissions(), [RECIPIENT, OTHER])


def check_deletion():
    image = {"ImageId": GOLDEN}
    owner.enable_image_deregistration_protection(**image)
    refused("protected", "OperationNotPermitted", lambda: owner.deregister_image(**image))
    owner.disable_image_deregistration_protection(**image)
    gone = owner.deregister_image(DeleteAssociatedSnapshots=True, **image)
    same("its snapshot", [row["ReturnCode"] for row in gone["DeleteSnapshotResults"]], ["success"])
    same("an empty list", owner.describe_images(ImageIds=[GOLDEN])["Images"], [])
    refused("again", "InvalidAMIID.Unavailable", lambda: owner.deregister_image(**image))
    entries = admin("GET", "/journal")["entries"]
    same("journalled", [entry["image"] for entry in entries if (entry["effect"] or {}).get("deleted")], [GOLDEN])


CHECKS = [
    check_regions, check_identity, check_roles, check_images, check_sharing, check_refusals, check_quota, check_copies,
    check_usage, check_faults, check_deletion,
]  # fmt: skip

for check in CHECKS:
    print(check.__name__.replace("_", " "), flush=True)
    check()
