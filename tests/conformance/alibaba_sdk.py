"""Drives the simulator with Alibaba Cloud's official SDK and checks what the SDK makes of its answers.

Usage: alibaba_sdk.py CLOUD_URL CONTROL_URL, on the world of alibaba-world.yaml. Exits with 1 at the first difference.
"""

import functools
import sys

from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client as Ecs
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException, ThrottlingException
from alibabacloud_tea_openapi.models import Config

from checks import ask_admin, same

CLOUD, CONTROL = sys.argv[1].removeprefix("http://"), sys.argv[2]
control = functools.partial(ask_admin, CONTROL)
REGION, IMAGE, OWNER = "cn-hangzhou", "m-golden", "2000000000000000"


def config(key, secret, token=None):
    return Config(access_key_id=key, access_key_secret=secret, security_token=token, endpoint=CLOUD, protocol="http")


owner = Ecs(config("LTAIowner", "owner-secret"))
recipient = Ecs(config("LTAIrecipient", "recipient-secret", "tok/en+="))


def account(n):
    return str(1_000_000_000_000_000 + n)


def accounts(*numbers):
    return [account(n) for n in numbers]


def refused(what, code, call, status=None):
    try:
        call()
    except AlibabaCloudException as error:
        same(f"{what}: code", error.code, code)
        same(f"{what}: request id given", bool(error.request_id) and error.request_id != "None", True)
        if status is not None:
            same(f"{what}: status", error.status_code, status)
        return error
    raise AssertionError(f"{what}: succeeded, expected {code}")


def share(add=None, remove=None, image=IMAGE, client=owner, **rest):
    request = ecs.ModifyImageSharePermissionRequest(
        region_id=REGION, image_id=image, add_account=add, remove_account=remove, **rest
    )
    return client.modify_image_share_permission(request).body


def page(number=1, size=100, client=owner, image=IMAGE):
    request = ecs.DescribeImageSharePermissionRequest(
        region_id=REGION, image_id=image, page_number=number, page_size=size
    )
    return client.describe_image_share_permission(request).body


def recipients(**rest):
    return [row.aliyun_id for row in page(**rest).accounts.account]


def images(client=owner, **filters):
    return client.describe_images(ecs.DescribeImagesRequest(region_id=REGION, **filters)).body


def image_ids(**rest):
    return [image.image_id for image in images(**rest).images.image]


def delete(image=IMAGE, **rest):
    return owner.delete_image(ecs.DeleteImageRequest(region_id=REGION, image_id=image, **rest)).body


def check_regions():
    body = owner.describe_regions(ecs.DescribeRegionsRequest()).body
    same("regions", [r.region_id for r in body.regions.region], ["cn-hangzhou", "cn-beijing", "cn-hongkong"])


def check_identity():
    body = Sts(config("LTAIowner", "owner-secret")).get_caller_identity().body
    same("owner's identity", (body.account_id, body.identity_type), (OWNER, "Account"))
    body = Sts(config("LTAIrecipient", "recipient-secret", "tok/en+=")).get_caller_identity().body
    same("temporary identity", (body.account_id, body.identity_type), (account(1), "AssumedRoleUser"))
    refused(
        "a wrong secret", "SignatureDoesNotMatch", lambda: Sts(config("LTAIowner", "wrong")).get_caller_identity(), 400
    )


def check_images():
    same("own images", image_ids(image_owner_alias="self"), [IMAGE, "m-locked"])
    same("all that is usable", image_ids(), ["aliyun_3_x64.vhd", IMAGE, "m-locked"])
    same("a draft is hidden", image_ids(image_id="m-draft"), [])
    draft = images(image_id="m-draft", status="ALL").images.image[0]
    same("the draft's status", (draft.status, draft.image_name), ("Creating", "draft"))
    golden = images(image_id=IMAGE, status="ALL").images.image[0]
    same("owner id is a number", golden.image_owner_id, int(OWNER))
    same("owner alias", golden.image_owner_alias, "self")
    same("disk types", [d.type for d in golden.disk_device_mappings.disk_device_mapping], ["system", "data"])
    body = images(page_size=1, page_number=2)
    same("second image page", (body.total_count, [i.image_id for i in body.images.image]), (3, [IMAGE]))


def check_sharing():
    same("nobody at first", recipients(), [])
    share(add=accounts(1, 2, 3))
    same("three recipients", recipients(), accounts(1, 2, 3))
    same("received", image_ids(client=recipient, image_owner_alias="others"), [IMAGE])
    received = images(client=recipient, image_owner_alias="others", image_owner_id=int(OWNER)).images.image[0]
    same("received alias and owner", (received.image_owner_alias, received.image_owner_id), ("others", int(OWNER)))
    share(add=accounts(2), remove=accounts(9))
    same("re-adding and removing an absent one change nothing", recipients(), accounts(1, 2, 3))
    share(add=accounts(4), remove=accounts(1, 2))
    same("removed and added in one call", recipients(), accounts(3, 4))
    same("no longer received", image_ids(client=recipient, image_owner_alias="others"), [])


def check_eleven():
    share(remove=accounts(3, 4))
    share(add=accounts(*range(11, 22)))
    same("the eleventh account is dropped", recipients(), accounts(*range(11, 21)))


def check_paging():
    first, third = page(1, 4), page(3, 4)
    same("total", (first.total_count, first.page_size, third.page_number), (10, 4, 3))
    same("third page", [row.aliyun_id for row in third.accounts.account], accounts(19, 20))
    same("date of sharing", first.accounts.account[0].shared_time[-1], "Z")
    same("past the end", recipients(number=4, size=4), [])
    refused("a page of 101", "InvalidParameter", lambda: page(1, 101), 400)


def check_refusals():
    before = recipients()
    refused("sharing with oneself", "InvalidAccount.Forbbiden", lambda: share(add=[OWNER]), 404)
    refused("an unknown account", "InvalidAccount.NotFound", lambda: share(add=accounts(1) + ["1234567890123456"]), 403)
    refused("not the owner", "InvalidImageId.NotFound", lambda: share(add=accounts(2), client=recipient), 404)
    refused("listing as a stranger", "InvalidImageId.NotFound", lambda: page(client=recipient), 404)
    refused("another's image", "InvalidImageId.NotFound", lambda: share(add=accounts(2), image="m-theirs"), 404)
    refused("a draft", "IncorrectImageStatus", lambda: share(add=accounts(2), image="m-draft"), 400)
    refused("service key", "OperationDeined.EncryptedSnapshot", lambda: share(add=accounts(2), image="m-locked"), 403)
    refused("a dry run", "DryRunOperation", lambda: share(add=accounts(2), dry_run=True), 400)
    elsewhere = ecs.DescribeImagesRequest(region_id="cn-nowhere")
    refused("an unknown region", "InvalidRegionId.NotFound", lambda: owner.describe_images(elsewhere), 404)
    same("none of these had an effect", recipients(), before)


def check_quota():
    for start in (21, 31, 41, 51):
        share(add=accounts(*range(start, start + 10)))
    same("fifty recipients", recipients(), accounts(*range(11, 61)))
    refused("a fifty-first", "QuotaExceed.ShareImageUser", lambda: share(add=accounts(1)), 403)
    share(add=accounts(1), remove=accounts(11))
    same("an exchange fits", page().total_count, 50)


def check_throttling():
    throttle = {"kind": "throttle", "retryAfterMillis": 1200}
    control("POST", "/faults", {"faults": [{"when": {"action": "DeleteImage"}, "count": 1, "then": throttle}]})
    error = refused("throttled", "Throttling.User", delete, 400)
    same("the SDK sees a throttle", isinstance(error, ThrottlingException), True)
    same("the wait in milliseconds", error.retry_after, 1200)
    control("POST", "/faults", {"faults": [{"count": 1, "then": {"kind": "unavailable"}}]})
    refused("unavailable", "ServiceUnavailable", page, 503)


def check_lost_answer():
    control("POST", "/faults", {"faults": [{"count": 1, "then": {"kind": "cutAfter"}}]})
    try:
        share(remove=accounts(1))
    except AlibabaCloudException as error:
        raise AssertionError(f"a cut connection is no answer, yet the SDK read {error.code}") from error
    except Exception as error:  # what the SDK raises depends on its HTTP library
        print(f"  cut: the SDK raised {type(error).__name__}")
    else:
        raise AssertionError("a cut connection was taken for an answer")
    same("the effect stands", page().total_count, 49)


def check_deletion():
    refused("deletion while shared", "ImageUseShared", delete, 403)
    refused("forced deletion while shared", "ImageUseShared", lambda: delete(force=True), 403)
    while present := recipients():
        share(remove=present[:10])
    same("a request id", bool(delete().request_id), True)
    same("gone", image_ids(image_id=IMAGE, status="ALL"), [])
    refused("deleted twice", "InvalidImageId.NotFound", delete, 404)
    entries = control("GET", "/journal")["entries"]
    same("journalled deletion", [e["image"] for e in entries if (e["effect"] or {}).get("deleted")], [IMAGE])


def copy(name, source="m-source", destination="cn-beijing", client=owner, **rest):
    request = ecs.CopyImageRequest(
        region_id=REGION, image_id=source, destination_region_id=destination, destination_image_name=name, **rest
    )
    return client.copy_image(request).body


def copied(name, region="cn-beijing", **filters):
    request = ecs.DescribeImagesRequest(
        region_id=region, image_name=name, image_owner_alias="self", status="ALL", **filters
    )
    return owner.describe_images(request).body.images.image


def cancel(image, region="cn-beijing"):
    return owner.cancel_copy_image(ecs.CancelCopyImageRequest(region_id=region, image_id=image)).body


def check_copies():
    source = {"id": "m-source", "region": REGION, "owner": OWNER, "name": "source", "sizeGiB": 25, "copySeconds": 500}
    control("POST", "/images", source)
    control("POST", "/permissions", {"image": "m-source", "add": accounts(1), "remove": []})
    asked = {"destination_description": "made by the SDK", "client_token": "token-1"}
    image = copy("made", **asked).image_id
    same("asked again", copy("made", **asked).image_id, image)
    refused("another copy", "IdempotentParameterMismatch", lambda: copy("other", **asked), 400)
    control("PUT", "/clock", {"advanceSeconds": 200})
    (row,) = copied("made")
    same("under way", (row.image_id, row.status, row.progress), (image, "Creating", "40%"))
    refused("deleted while it is made", "OperationDenied.ImageCopying", lambda: owner.delete_image(
        ecs.DeleteImageRequest(region_id="cn-beijing", image_id=image)), 403)  # fmt: skip
    control("PUT", "/clock", {"advanceSeconds": 300})
    (row,) = copied("made")
    same("made", (row.status, row.progress, row.size, row.is_copied), ("Available", "100%", 25, True))
    same("its texts", (row.image_name, row.description), ("made", "made by the SDK"))
    refused("cancelled too late", "IncorrectImageStatus", lambda: cancel(image), 400)
    refused("the same name", "InvalidImageName.Duplicated", lambda: copy("made"), 400)
    refused("a bad name", "InvalidImageName.Malformed", lambda: copy("1"), 400)
    refused("nowhere", "DestinationRegion.NotFound", lambda: copy("lost", destination="cn-nowhere"), 400)
    refused("received, abroad", "OperationDenied.SameRegionOnly", lambda: copy("received", client=recipient), 403)
    refused("no copy", "ImageCreatedNotFromCopy", lambda: cancel("m-source", REGION), 400)
    same("received, in its region", copy("received", destination=REGION, client=recipient).image_id != image, True)
    check_queue_and_endings()
    control("PUT", "/clock", {"offsetSeconds": 0})


def check_queue_and_endings():
    names = [f"queued-{n}" for n in range(6)]
    made = {name: copy(name).image_id for name in names}
    same("the sixth waits", [copied(name)[0].status for name in names], ["Creating"] * 5 + ["Waiting"])
    same("cancelled", bool(cancel(made["queued-0"]).request_id), True)
    same("gone", copied("queued-0"), [])
    same("the sixth goes on", copied("queued-5")[0].status, "Creating")
    control("PATCH", "/images/m-source", {"copiesFail": True})
    control("PUT", "/clock", {"advanceSeconds": 310})
    same("failed", copied("queued-1")[0].status, "CreateFailed")
    same("at sixty percent", copied("queued-1")[0].progress, "60%")
    failed = ecs.DeleteImageRequest(region_id="cn-beijing", image_id=made["queued-1"])
    same("deleted when it failed", bool(owner.delete_image(failed).body.request_id), True)
    steps = [(e["effect"] or {}).get("copy") for e in control("GET", "/journal")["entries"]]
    count = {state: sum(1 for s in steps if s and s["state"] == state) for state in ("began", "done", "cancelled")}
    same("journalled copies", count, {"began": 8, "done": 1, "cancelled": 1})


CHECKS = [
    check_regions, check_identity, check_images, check_sharing, check_eleven, check_paging, check_refusals,
    check_quota, check_throttling, check_lost_answer, check_deletion, check_copies,
]  # fmt: skip

for check in CHECKS:
    print(check.__name__.replace("_", " "), flush=True)
    check()
