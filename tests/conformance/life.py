"""Every client lives one life in the same world: it lists, shares, pages, accepts, rejects, copies, renames, tags, deletes,
is refused, is throttled, and holds a token that expires. Prints which client did which step.

Usage: life.py ALIBABA_URL HUAWEI_URL AWS_URL ADMIN_URL [PROGRAM...], on the world of life-world.yaml. A program is a client
in another language: it is run as `PROGRAM ALIBABA_URL HUAWEI_URL ADMIN_URL AWS_URL`, prints a line `client: NAME CLOUD` and for
each step a line `STEP: ok` or `STEP: what went wrong`. Exits with 1 where a step failed. SIMULATOR_TLS and SIMULATOR_CERTIFICATE of
the environment are for programs that know the vendors' hosts only. Only those that make what is there like a plan plan again and import.
"""

import functools
import pathlib
import subprocess
import sys

from checks import ask_admin, same
from clients import Refused, alibaba, aws, huawei
from huaweicloudsdkcore.signer.algorithm import SigningAlgorithm

ALIBABA, HUAWEI, AWS, ADMIN, *PROGRAMS = sys.argv[1:]
admin = functools.partial(ask_admin, ADMIN)
WORLD = (pathlib.Path(__file__).parent / "life-world.yaml").read_text()
OWNER, RECIPIENTS = "2000000000000000", ["1000000000000001", "1000000000000002", "1000000000000003"]
OWNER_KEY, RECIPIENT_KEY = ("LTAIowner", "owner-secret"), ("LTAIrecipient", "recipient-secret")
TEMPORARY_KEY = ("LTAItemporary", "temporary-secret", "tok/en+=")
GOLDEN, OLDER = "cc4f2d1e-0000-4000-8000-000000000001", "cc4f2d1e-0000-4000-8000-000000000002"
PROJECTS = ["1a" + "0" * 30, "1b" + "0" * 30, "1c" + "0" * 30]
NOTHING = "–"


def refused(what, code, call, status=None):
    try:
        call()
    except Refused as error:
        same(what, (error.code, error.status if status else None), (code, status))
    else:
        raise AssertionError(f"{what}: succeeded, expected {code}")


def throttle(action):
    admin("PUT", "/limits", {"limits": [{"action": action, "callsPerMinute": 0}]})


class AlibabaLife:
    """The steps at Alibaba Cloud; offers are not answered there."""

    def __init__(self, client):
        self.ask = client.call
        # The older SDK finds that the server signed the same text, and says what that means.
        legacy = isinstance(client, alibaba.Legacy)
        self.wrong_secret = "InvalidAccessKeySecret" if legacy else "SignatureDoesNotMatch"

    def images(self, key=OWNER_KEY, **filters):
        found = self.ask(key, "DescribeImages", **filters)["Images"]["Image"]
        return sorted((one["ImageId"], one["ImageName"]) for one in found)

    def recipients(self, size=2):
        found, number = [], 1
        while True:
            page = self.ask(
                OWNER_KEY, "DescribeImageSharePermission", ImageId="m-golden", PageNumber=number, PageSize=size
            )
            found += [row["AliyunId"] for row in page["Accounts"]["Account"]]
            if len(found) >= page["TotalCount"]:
                return found
            number += 1

    def share(self, key=OWNER_KEY, **change):
        return self.ask(key, "ModifyImageSharePermission", ImageId="m-golden", **change)

    def identity(self):
        same("account", self.ask(OWNER_KEY, "GetCallerIdentity")["AccountId"], OWNER)
        same("temporary", self.ask(TEMPORARY_KEY, "GetCallerIdentity")["IdentityType"], "AssumedRoleUser")

    def list(self):
        same("by a part of the name", [id for id, _ in self.images(ImageName="golden")], ["m-golden", "m-golden2"])
        same("own ones", [id for id, _ in self.images(ImageOwnerAlias="self")], ["m-golden", "m-golden2"])
        same("of none", self.images(ImageName="镜像 a*b~c/d+e"), [])

    def share_and_page(self):
        self.share(AddAccount=RECIPIENTS)
        same("recipients by pages", self.recipients(), RECIPIENTS)
        same("received", self.images(RECIPIENT_KEY, ImageOwnerAlias="others"), [("m-golden", "golden")])

    def assume_role(self):
        role = {"RoleArn": f"acs:ram::{RECIPIENTS[0]}:role/share", "RoleSessionName": "life"}
        given = self.ask(OWNER_KEY, "AssumeRole", **role)["Credentials"]
        played = (given["AccessKeyId"], given["AccessKeySecret"], given["SecurityToken"])
        same("received", self.images(played, ImageOwnerAlias="others"), [("m-golden", "golden")])
        other = {**role, "RoleArn": f"acs:ram::{RECIPIENTS[0]}:role/other"}
        refused("no such role", "EntityNotExist.Role", lambda: self.ask(OWNER_KEY, "AssumeRole", **other), 404)

    def copy(self):
        tags = [{"Key": "team", "Value": "core"}]
        id = self.ask(
            OWNER_KEY, "CopyImage", ImageId="m-golden", DestinationRegionId="cn-hangzhou",
            DestinationImageName="golden-copy", Tag=tags,
        )["ImageId"]  # fmt: skip
        same("the copy", self.images(ImageId=id), [(id, "golden-copy")])
        self.ask(OWNER_KEY, "DeleteImage", ImageId=id)

    def rename(self):
        self.ask(OWNER_KEY, "ModifyImageAttribute", ImageId="m-golden2", ImageName="silver")
        same("its name", self.images(ImageId="m-golden2"), [("m-golden2", "silver")])

    def tag(self):
        what = {"ResourceType": "image", "ResourceId": ["m-golden"]}
        self.ask(OWNER_KEY, "TagResources", Tag=[{"Key": "team", "Value": "core"}], **what)
        rows = self.ask(OWNER_KEY, "ListTagResources", **what)["TagResources"]["TagResource"]
        same("tags", [(row["TagKey"], row["TagValue"]) for row in rows], [("team", "core")])
        same("by tag", self.images(Tag=[{"Key": "team", "Value": "core"}]), [("m-golden", "golden")])
        self.ask(OWNER_KEY, "UntagResources", TagKey=["team"], **what)
        same("untagged", self.images(Tag=[{"Key": "team", "Value": "core"}]), [])

    def be_refused(self):
        refused("oneself", "InvalidAccount.Forbbiden", lambda: self.share(AddAccount=[OWNER]), 404)
        refused("nobody", "InvalidAccount.NotFound", lambda: self.share(AddAccount=["1234567890123456"]), 403)
        refused("not the owner", "InvalidImageId.NotFound", lambda: self.share(RECIPIENT_KEY, AddAccount=RECIPIENTS), 404)
        refused("no effect", "UnsupportedParameter", lambda: self.images(InstanceType="ecs.g6.large"), 400)

    def be_throttled(self):
        throttle("DescribeImages")
        refused("throttled", "Throttling.User", self.images, 400)

    def sign_wrongly(self):
        refused("a wrong secret", self.wrong_secret, lambda: self.images(("LTAIowner", "wrong")), 400)

    def expire(self):
        same("before", len(self.images(TEMPORARY_KEY, ImageOwnerAlias="self")), 2)
        admin("PATCH", "/keys/LTAItemporary", {"expired": True})
        refused("after", "InvalidSecurityToken.Expired", lambda: self.images(TEMPORARY_KEY), 400)

    def delete(self):
        gone = lambda: self.ask(OWNER_KEY, "DeleteImage", ImageId="m-golden")  # noqa: E731
        refused("while it is shared", "ImageUseShared", gone, 403)
        self.share(RemoveAccount=RECIPIENTS)
        gone()
        same("gone", self.images(ImageName="golden"), [])


class HuaweiLife:
    """The steps at Huawei Cloud."""

    def __init__(self, client):
        self.client = client

    def identity(self):
        same("its own project's", self.client.quota("owner"), "image")

    def list(self):
        own = self.client.images("owner", imagetype="private")
        same("own ones", sorted(own), [(GOLDEN, "golden"), (OLDER, "golden-older")])
        ordered = self.client.images("owner", imagetype="private", sort_key="name", sort_dir="desc")
        same("by name", [name for _, name in ordered], ["golden-older", "golden"])

    def share_and_page(self):
        self.client.share(GOLDEN, PROJECTS)
        same("members", self.client.members(GOLDEN), dict.fromkeys(PROJECTS, "pending"))

    def assume_role(self):
        if isinstance(self.client, huawei.OpenStack):
            raise NotImplementedError
        played = self.client.assume("share")
        same("received", self.client.images(played, visibility="shared", member_status="pending"), [(GOLDEN, "golden")])
        refused("no such agency", 403, lambda: self.client.assume("other"), 403)

    def accept(self):
        same("it waits", self.client.offered("pending"), [GOLDEN])
        self.client.answer(GOLDEN, "accepted")
        same("it is listed", self.client.offered("accepted"), [GOLDEN])

    def reject(self):
        self.client.answer(GOLDEN, "rejected")
        same("it is listed so", self.client.offered("rejected"), [GOLDEN])
        same("the owner sees it", self.client.members(GOLDEN)[PROJECTS[0]], "rejected")

    def copy(self):
        id = self.client.copy(GOLDEN, "copy")
        same("the copy", self.client.images("owner", name="copy"), [(id, "copy")])

    def rename(self):
        same("its name", self.client.rename(OLDER, "silver"), "silver")
        same("in the list", self.client.images("owner", name="silver"), [(OLDER, "silver")])

    def tag(self):
        same("tags", self.client.tag(GOLDEN, "team", "core"), {"team": "core"})
        same("by tag", self.client.images("owner", tag="team=core"), [(GOLDEN, "golden")])

    def be_refused(self):
        refused("nobody", "IMG.0108", lambda: self.client.share(GOLDEN, ["f" * 32]), 400)
        refused("oneself", "IMG.0076", lambda: self.client.share(GOLDEN, [huawei.PROJECTS["owner"]]), 400)

    def be_throttled(self):
        own = isinstance(self.client, huawei.Own)
        throttle("ListImages" if own else "GlanceListImages")
        try:
            self.client.images("owner")
        except Refused as error:
            # One SDK tries again by itself and then keeps the status only.
            same("throttled", (error.status, error.code in ("APIGW.0308", "429")), (429, True))
        else:
            raise AssertionError("it was not throttled")

    def sign_wrongly(self):
        try:
            self.client.quota("wrong")
        except Refused as error:
            same("the status", error.status, 401)
        else:
            raise AssertionError("a wrong secret was taken for a right one")

    def expire(self):
        if isinstance(self.client, huawei.OpenStack):
            admin("PUT", "/clock", {"advanceSeconds": 24 * 60 * 60})
            same("renewed by itself", self.client.quota("owner"), "image")
            admin("PUT", "/clock", {"offsetSeconds": 0})
            return
        same("before", self.client.quota("temporary"), "image")
        admin("PATCH", "/huawei/keys/TEMPORARY", {"expired": True})
        refused("after", "APIGW.0301", lambda: self.client.quota("temporary"), 401)

    def delete(self):
        self.client.unshare(GOLDEN, PROJECTS)
        same("nobody has it", self.client.members(GOLDEN), {})
        self.client.delete(GOLDEN)


class AwsLife:
    """The steps at Amazon Web Services: nothing is accepted there, and an image keeps its name."""

    OWNER, RECIPIENTS = "111122223333", ["444455556666", "777788889999"]
    OWNER_KEY, RECIPIENT_KEY = ("AKIAOWNER", "owner-secret"), ("AKIARECIPIENT", "recipient-secret")
    TEMPORARY_KEY = ("ASIATEMPORARY", "temporary-secret", "tok/en+=")
    GOLDEN, OLDER = "ami-00000000000000001", "ami-00000000000000002"
    SNAPSHOT = "snap-00000000000000001"
    ORGANIZATION = "arn:aws:organizations::111122223333:organization/o-abcdefghij"

    def __init__(self, client):
        self.ask = client.call

    def images(self, key=OWNER_KEY, **filters):
        """By pages, some of which are short or empty."""
        found, more = [], {}
        while True:
            page = self.ask(key, "describe_images", MaxResults=5, **filters, **more)
            found += [(one["ImageId"], one["Name"]) for one in page["Images"]]
            if not page.get("NextToken"):
                return sorted(found)
            more = {"NextToken": page["NextToken"]}

    def permissions(self):
        asked = {"ImageId": self.GOLDEN, "Attribute": "launchPermission"}
        rows = self.ask(self.OWNER_KEY, "describe_image_attribute", **asked)["LaunchPermissions"]
        return [next(iter(row.values())) for row in rows]

    def share(self, key=OWNER_KEY, image=GOLDEN, **change):
        return self.ask(key, "modify_image_attribute", ImageId=image, LaunchPermission=change)

    def identity(self):
        same("account", self.ask(self.OWNER_KEY, "get_caller_identity")["Account"], self.OWNER)
        arn = self.ask(self.TEMPORARY_KEY, "get_caller_identity")["Arn"]
        same("temporary", ":assumed-role/" in arn, True)
        regions = self.ask(self.OWNER_KEY, "describe_regions")["Regions"]
        same("regions", [one["RegionName"] for one in regions], ["us-east-1", "eu-central-1"])

    def list(self):
        same("own ones", [id for id, _ in self.images(Owners=["self"])], [self.GOLDEN, self.OLDER])
        named = [{"Name": "name", "Values": ["golden*"]}]
        same("by name", [name for _, name in self.images(Filters=named)], ["golden", "golden-older"])
        same("of none", self.images(Filters=[{"Name": "name", "Values": ["镜像 a*b~c/d+e"]}]), [])

    def share_and_page(self):
        self.share(Add=[{"UserId": one} for one in self.RECIPIENTS] + [{"OrganizationArn": self.ORGANIZATION}])
        same("permissions", self.permissions(), [*self.RECIPIENTS, self.ORGANIZATION])
        same("received", self.images(self.RECIPIENT_KEY, ExecutableUsers=["self"]), [(self.GOLDEN, "golden")])
        self.share(Remove=[{"OrganizationArn": self.ORGANIZATION}])
        same("without the organization", self.permissions(), self.RECIPIENTS)

    def assume_role(self):
        role = {"RoleArn": f"arn:aws:iam::{self.RECIPIENTS[0]}:role/share", "RoleSessionName": "life"}
        given = self.ask(self.OWNER_KEY, "assume_role", **role)["Credentials"]
        played = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        same("received", self.images(played, ExecutableUsers=["self"]), [(self.GOLDEN, "golden")])
        other = {**role, "RoleArn": f"arn:aws:iam::{self.RECIPIENTS[0]}:role/other"}
        refused("no such role", "AccessDenied", lambda: self.ask(self.OWNER_KEY, "assume_role", **other))

    def copy(self):
        asked = {"Name": "golden (copy)", "SourceImageId": self.GOLDEN, "SourceRegion": "us-east-1", "ClientToken": "t"}
        no_storage = lambda: self.ask(self.RECIPIENT_KEY, "copy_image", **asked)  # noqa: E731
        refused("without the snapshot", "InvalidRequest", no_storage)
        grant = {"SnapshotId": self.SNAPSHOT, "CreateVolumePermission": {"Add": [{"UserId": self.RECIPIENTS[0]}]}}
        self.ask(self.OWNER_KEY, "modify_snapshot_attribute", Attribute="createVolumePermission", **grant)
        id = self.ask(self.RECIPIENT_KEY, "copy_image", "eu-central-1", **asked)["ImageId"]
        (copied,) = self.ask(self.RECIPIENT_KEY, "describe_images", "eu-central-1", ImageIds=[id])["Images"]
        same("the copy", (copied["Name"], copied["State"]), ("golden (copy)", "available"))
        self.ask(self.RECIPIENT_KEY, "deregister_image", "eu-central-1", ImageId=id)

    def tag(self):
        tags = [{"Key": "team", "Value": "core"}]
        self.ask(self.OWNER_KEY, "create_tags", Resources=[self.GOLDEN], Tags=tags)
        by_tag = [{"Name": "tag:team", "Values": ["core"]}]
        same("by tag", self.images(Filters=by_tag), [(self.GOLDEN, "golden")])
        same("not for recipients", self.images(self.RECIPIENT_KEY, Filters=by_tag), [])
        self.ask(self.OWNER_KEY, "delete_tags", Resources=[self.GOLDEN], Tags=tags)
        same("untagged", self.images(Filters=by_tag), [])

    def be_refused(self):
        nobody = lambda: self.share(Add=[{"UserId": "12345"}])  # noqa: E731
        refused("nobody", "InvalidAMIAttributeItemValue", nobody)
        stranger = lambda: self.share(self.RECIPIENT_KEY, Add=[{"UserId": self.OWNER}])  # noqa: E731
        refused("not the owner", "AuthFailure", stranger)
        not_seen = lambda: self.share(self.RECIPIENT_KEY, self.OLDER, Add=[{"UserId": self.OWNER}])  # noqa: E731
        refused("not seen", "InvalidAMIID.NotFound", not_seen)
        no_effect = lambda: self.images(Filters=[{"Name": "kernel-id", "Values": ["x"]}])  # noqa: E731
        refused("no effect", "InvalidParameterValue", no_effect)

    def be_throttled(self):
        throttle("DescribeImages")
        refused("throttled", "RequestLimitExceeded", self.images)

    def sign_wrongly(self):
        refused("a wrong secret", "AuthFailure", lambda: self.images(("AKIAOWNER", "wrong")))
        identity = lambda: self.ask(("AKIAOWNER", "wrong"), "get_caller_identity")  # noqa: E731
        refused("in the words of STS", "SignatureDoesNotMatch", identity)

    def expire(self):
        same("before", len(self.images(self.TEMPORARY_KEY, Owners=["self"])), 2)
        admin("PATCH", "/aws/keys/ASIATEMPORARY", {"expired": True})
        refused("after", "RequestExpired", lambda: self.images(self.TEMPORARY_KEY))

    def delete(self):
        gone = lambda: self.ask(self.OWNER_KEY, "deregister_image", ImageId=self.GOLDEN)  # noqa: E731
        gone()
        same("gone", self.ask(self.OWNER_KEY, "describe_images", ImageIds=[self.GOLDEN])["Images"], [])
        refused("again", "InvalidAMIID.Unavailable", gone)


STEPS = [
    "identity", "list", "share_and_page", "assume_role", "accept", "reject", "copy", "rename", "tag", "plan_again",
    "import", "be_refused", "be_throttled", "sign_wrongly", "expire", "delete",
]  # fmt: skip

LIVES = [
    ("alibabacloud_ecs20140526, ACS3-HMAC-SHA256", lambda: AlibabaLife(alibaba.Current(ALIBABA))),
    ("alibabacloud_ecs20140526, ACS3-HMAC-SM3", lambda: AlibabaLife(alibaba.Current(ALIBABA, "ACS3-HMAC-SM3"))),
    ("alibabacloud_ecs20140526, HMAC-SHA1", lambda: AlibabaLife(alibaba.Current(ALIBABA, "v2"))),
    ("aliyun-python-sdk-ecs, HMAC-SHA1 POST", lambda: AlibabaLife(alibaba.Legacy(ALIBABA))),
    ("aliyun-python-sdk-ecs, HMAC-SHA1 GET", lambda: AlibabaLife(alibaba.Legacy(ALIBABA, "GET"))),
    ("huaweicloudsdkims, SDK-HMAC-SHA256", lambda: HuaweiLife(huawei.Own(HUAWEI))),
    ("huaweicloudsdkims, SDK-HMAC-SM3", lambda: HuaweiLife(huawei.Own(HUAWEI, SigningAlgorithm.HMAC_SM3))),
    ("huaweicloudsdkims, V11-HMAC-SHA256", lambda: HuaweiLife(huawei.Own(HUAWEI, derived=True))),
    ("openstacksdk", lambda: HuaweiLife(huawei.OpenStack(HUAWEI))),
    ("boto3, AWS4-HMAC-SHA256", lambda: AwsLife(aws.Boto3(AWS))),
]
# Takes a second or two for each of its calls, so it lives where time is given: with the programs.
if PROGRAMS:
    LIVES.append(("awscli, AWS4-HMAC-SHA256", lambda: AwsLife(aws.Cli(AWS))))


def step(life, name):
    """What became of a step: `ok`, nothing where the cloud or the client has none, or what went wrong."""
    if not hasattr(life, name):
        return NOTHING
    try:
        getattr(life, name)()
    except NotImplementedError:
        return NOTHING
    except Exception as error:  # whatever a client raises is told
        return f"{type(error).__name__}: {error}"
    finally:
        admin("PUT", "/limits", {"limits": []})
    return "ok"


def live(make):
    admin("PUT", "/world", WORLD)
    life = make()
    return {name: step(life, name) for name in STEPS}


def live_elsewhere(program):
    """A client in another language."""
    admin("PUT", "/world", WORLD)
    told = subprocess.run([program, ALIBABA, HUAWEI, ADMIN, AWS], capture_output=True, text=True, check=False)
    lines = dict(line.split(": ", 1) for line in told.stdout.splitlines() if ": " in line)
    if "client" not in lines:
        return program, {name: told.stderr.strip() or "no word" for name in STEPS}
    return lines.pop("client"), {name: lines.get(name, NOTHING) for name in STEPS}


def main():
    table = [(name, live(make)) for name, make in LIVES]
    table += [live_elsewhere(program) for program in PROGRAMS]
    print("| client | " + " | ".join(name.replace("_", " ") for name in STEPS) + " |")
    print("|---" * (len(STEPS) + 1) + "|")
    for name, steps in table:
        words = (steps[one] if steps[one] in ("ok", NOTHING) else "FAILED" for one in STEPS)
        print(f"| {name} | " + " | ".join(words) + " |")
    failed = [(name, one, why) for name, steps in table for one, why in steps.items() if why not in ("ok", NOTHING)]
    for name, one, why in failed:
        print(f"{name}: {one}: {why}", file=sys.stderr)
    sys.exit(1 if failed else 0)


main()
