"""Drives the simulator with Huawei Cloud's official SDK and checks what the SDK makes of its answers.

Usage: huawei_sdk.py HUAWEI_URL CONTROL_URL, on the world of huawei-world.yaml. Exits with 1 at the first difference.
"""

import functools
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, ServerResponseException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkims import v2 as ims

from checks import ask_admin, same

CLOUD, CONTROL = sys.argv[1], sys.argv[2]
control = functools.partial(ask_admin, CONTROL)
OWNER, SOUTH = "0a" + "0" * 30, "0b" + "0" * 30
FIRST, ALSO_FIRST, SECOND = "1a" + "0" * 30, "1b" + "0" * 30, "2a" + "0" * 30
FIRST_DOMAIN = "d1" + "0" * 30
UNIT = "organizations::d0000000000000000000000000000000:ou:o-acme/ou-dev"
# The longest a job may take before the run is given up, in seconds.
PATIENCE = 30


def image(n):
    return f"cc4f2d1e-0000-4000-8000-{n:012}"


GOLDEN, SERVER, LOCKED = image(1), image(2), image(3)


def client(key, secret, project=None, token=None):
    credentials = BasicCredentials(key, secret, project)
    if token:
        credentials = credentials.with_security_token(token)
    builder = ims.ImsClient.new_builder()
    if project:
        return builder.with_endpoint(CLOUD).with_credentials(credentials).build()
    # Without a project the SDK asks the identity service for the one named like the region.
    credentials = credentials.with_iam_endpoint(CLOUD)
    return builder.with_region(Region("cn-north-4", CLOUD)).with_credentials(credentials).build()


owner = client("OWNERKEY", "owner-secret", OWNER)
first = client("FIRSTKEY", "first-secret", FIRST)
second = client("SECONDKEY", "second-secret", SECOND)


def refused(what, code, call, status=400):
    try:
        call()
    except (ClientRequestException, ServerResponseException) as error:
        same(f"{what}: code", (error.error_code, error.status_code), (code, status))
        same(f"{what}: request id given", bool(error.request_id), True)
        return error
    raise AssertionError(f"{what}: succeeded, expected {code}")


def progress(job_id, asked):
    return asked.show_job_progress(ims.ShowJobProgressRequest(job_id=job_id))


def finish(response, asked=owner):
    """Polls one address until the job has ended, then reads the other."""
    deadline = time.monotonic() + PATIENCE
    seen = []
    while not seen or seen[-1] in ("INIT", "RUNNING"):
        if time.monotonic() > deadline:
            raise AssertionError(f"the job is still {seen[-1]}")
        seen.append(progress(response.job_id, asked).status)
        time.sleep(0.01)
    job = asked.show_job(ims.ShowJobRequest(job_id=response.job_id))
    same("both addresses tell of one job", (job.job_id, job.status), (response.job_id, seen[-1]))
    same("it was not done at once", seen[0] in ("INIT", "RUNNING"), True)
    return job


def share(images=(GOLDEN,), asked=owner, **recipients):
    body = ims.BatchAddMembersRequestBody(images=list(images), **recipients)
    return asked.batch_add_members(ims.BatchAddMembersRequest(body=body))


def unshare(images=(GOLDEN,), asked=owner, **recipients):
    body = ims.BatchAddMembersRequestBody(images=list(images), **recipients)
    return asked.batch_delete_members(ims.BatchDeleteMembersRequest(body=body))


def answer(asked, project, status, images=(GOLDEN,), vault=None):
    body = ims.BatchUpdateMembersRequestBody(images=list(images), project_id=project, status=status, vault_id=vault)
    return asked.batch_update_members(ims.BatchUpdateMembersRequest(body=body))


def members(asked=owner, of=GOLDEN, limit=None, marker=None):
    request = ims.ListImageMembersRequest(image_id=of, limit=limit, marker=marker)
    return asked.list_image_members(request)


def statuses(**rest):
    return {member.member_id: member.status for member in members(**rest).members}


def images(asked, **filters):
    return asked.list_images(ims.ListImagesRequest(**filters)).images


def received(asked, status):
    return [found.id for found in images(asked, imagetype="shared", visibility="shared", member_status=status)]


def check_discovery():
    found = images(client("OWNERKEY", "owner-secret"), imagetype="private")
    same("the project of the region's name", [one.id for one in found], [GOLDEN, SERVER, LOCKED])
    entries = control("GET", "/journal")["entries"]
    same("it was asked for", entries[-2]["action"], "KeystoneListProjects")


def check_images():
    golden = images(owner, id=GOLDEN)[0]
    same("name and owner", (golden.name, golden.owner, golden.status), ("golden", OWNER, "active"))
    same("kind", (golden.imagetype, golden.visibility, golden.virtual_env_type), ("private", "private", "FusionCompute"))
    same("encrypted ones have a key", bool(images(owner, id=LOCKED)[0].system__cmkid), True)
    same("public ones", [one.id for one in images(owner, imagetype="gold")], [image(5)])
    same("pages", [one.id for one in images(owner, limit=2, marker=GOLDEN)], [SERVER, LOCKED])
    temporary = client("TEMPORARY", "temporary-secret", OWNER, "tok/en+=")
    same("an odd name, with a temporary key", images(temporary, name="镜像 a*b~c/d+e&"), [])
    other_region = client("OWNERKEY", "owner-secret", SOUTH)
    same("each region has its own", [one.name for one in images(other_region)], ["southern"])


def check_share():
    job = finish(share(projects=[FIRST, ALSO_FIRST, SECOND]))
    same("the job", (job.status, job.job_type, job.error_code), ("SUCCESS", "imsAddImageMembersJob", None))
    results = [(result.image_id, result.status) for result in job.entities.results]
    same("its results", results, [(GOLDEN, "success")] * 3)
    same("offers wait", statuses(), {FIRST: "pending", ALSO_FIRST: "pending", SECOND: "pending"})
    same("the recipient finds it waiting", received(first, "pending"), [GOLDEN])
    same("and nowhere else", received(first, "accepted") + received(first, "rejected"), [])
    same("the recipient sees itself only", statuses(asked=first), {FIRST: "pending"})


def check_answers():
    for status in ("accepted", "rejected", "accepted"):
        job = finish(answer(first, FIRST, status), first)
        same("the job", (job.status, job.job_type), ("SUCCESS", "imsUpdateImageMembersJob"))
        same("the owner sees it", statuses()[FIRST], status)
        same("the recipient lists it so", received(first, status), [GOLDEN])
    found = images(first, imagetype="shared", visibility="shared")
    same("the owner's project is told", [(one.id, one.owner) for one in found], [(GOLDEN, OWNER)])
    finish(answer(second, SECOND, "rejected"), second)
    finish(share(projects=[SECOND]))
    same("shared again, the rejected offer waits anew", statuses()[SECOND], "pending")


def check_paging():
    page = members(limit=2)
    same("first page", (len(page.members), page.page_info.current_count), (2, 2))
    rest = members(limit=2, marker=page.page_info.next_marker)
    same("second page", ([one.member_id for one in rest.members], rest.page_info.next_marker), ([SECOND], None))
    one = owner.show_image_member(ims.ShowImageMemberRequest(image_id=GOLDEN, member_id=FIRST))
    same("one member", (one.member_type, one.status, one.image_id), ("project", "accepted", GOLDEN))


def check_domains_and_organizations():
    finish(share(domains=[FIRST_DOMAIN], organizations=[UNIT]))
    kinds = {member.member_type: (member.status, member.urn) for member in members().members}
    same("a domain has it at once", kinds["domain"], ("accepted", None))
    same("an organization as well", kinds["organization"], ("accepted", UNIT))
    refused("deletion while shared with them", "IMG.0105", delete)
    job = finish(unshare(domains=[FIRST_DOMAIN], organizations=["ou-dev"]))
    same("a removal has no results", (job.job_type, job.entities.results), ("imsDelImageMembersJob", []))
    same("projects are left", sorted(statuses()), [FIRST, ALSO_FIRST, SECOND])


def check_full_server():
    finish(share(images=[SERVER], projects=[FIRST]))
    refused("no vault", "IMG.0184", lambda: answer(first, FIRST, "accepted", [SERVER]))
    finish(answer(first, FIRST, "accepted", [SERVER], "vault-1"), first)
    same("accepted into a vault", statuses(of=SERVER), {FIRST: "accepted"})
    whole = [one for one in images(first, visibility="shared") if one.id == SERVER]
    same("it is listed", len(whole), 1)


def check_refusals():
    before = statuses()
    refused("sharing with oneself", "IMG.0076", lambda: share(projects=[OWNER]))
    refused("an unknown project", "IMG.0108", lambda: share(projects=["f" * 32]))
    refused("another region", "IMG.0177", lambda: share(projects=[SOUTH]))
    refused("sharing on", "IMG.0047", lambda: share(asked=first, projects=[SECOND]))
    refused("a stranger's image", "IMG.0144", lambda: share([image(4)], projects=[FIRST]))
    refused("encrypted", "IMG.0098", lambda: share([LOCKED], projects=[FIRST]))
    refused("public", "IMG.0089", lambda: share([image(5)], projects=[FIRST]))
    refused("back to waiting", "IMG.0001", lambda: answer(first, FIRST, "pending"))
    refused("for another project", "IMG.0030", lambda: answer(first, SECOND, "accepted"))
    refused("no offer to it", "IMG.0144", lambda: answer(second, SECOND, "accepted", [SERVER], "vault-1"))
    refused("a filter without effect", "IMG.0001", lambda: images(owner, enterprise_project_id="1"))
    refused("a job that is not", "IMG.0105", lambda: progress("f" * 32, owner), 404)
    same("none of these had an effect", statuses(), before)


def check_one_member():
    request = ims.GlanceDeleteImageMemberRequest(image_id=GOLDEN, member_id=ALSO_FIRST)
    owner.glance_delete_image_member(request)
    same("gone at once", ALSO_FIRST in statuses(), False)
    body = ims.GlanceAddImageMemberRequestBody(member=ALSO_FIRST)
    added = owner.glance_add_image_member(ims.GlanceAddImageMemberRequest(image_id=GOLDEN, body=body))
    same("there at once", (added.status, added.member_id), ("pending", ALSO_FIRST))
    also_first = client("FIRSTKEY", "first-secret", ALSO_FIRST)
    body = ims.GlanceUpdateImageMemberRequestBody(status="rejected")
    request = ims.GlanceUpdateImageMemberRequest(image_id=GOLDEN, member_id=ALSO_FIRST, body=body)
    same("answered at once", also_first.glance_update_image_member(request).status, "rejected")
    shown = owner.glance_show_image_member(ims.GlanceShowImageMemberRequest(image_id=GOLDEN, member_id=ALSO_FIRST))
    same("shown", shown.status, "rejected")
    listed = owner.glance_list_image_members(ims.GlanceListImageMembersRequest(image_id=GOLDEN)).members
    same("listed", sorted(one.member_id for one in listed), [FIRST, ALSO_FIRST, SECOND])


def check_quota():
    resource = owner.show_image_quota(ims.ShowImageQuotaRequest()).quotas.resources[0]
    same("quota", (resource.type, resource.used, resource.quota), ("image", 3, 100))


def check_weather():
    def strike(then, action):
        control("POST", "/faults", {"faults": [{"when": {"action": action}, "count": 1, "then": then}]})

    strike({"kind": "throttle"}, "ListImages")
    try:
        images(owner)
    except ClientRequestException as error:  # the SDK drops the body of this one
        same("throttled", error.status_code, 429)
    else:
        raise AssertionError("a throttled call succeeded")
    strike({"kind": "unavailable"}, "ListImages")
    refused("unavailable", "IMG.0061", lambda: images(owner), 503)
    strike({"kind": "jobFails", "code": "IMG.0113", "partial": 1}, "BatchDeleteMembers")
    job = finish(unshare(projects=[SECOND, FIRST]))
    same("failed half way", (job.status, job.error_code), ("FAIL", "IMG.0113"))
    same("what was done stands", sorted(statuses()), [FIRST, ALSO_FIRST])
    strike({"kind": "cutAfter"}, "BatchDeleteMembers")
    try:
        unshare(projects=[ALSO_FIRST])
    except (ClientRequestException, ServerResponseException) as error:
        raise AssertionError(f"a cut connection is no answer, yet the SDK read {error.error_code}") from error
    except Exception as error:  # what the SDK raises depends on its HTTP library
        print(f"  cut: the SDK raised {type(error).__name__}")
    else:
        raise AssertionError("a cut connection was taken for an answer")
    deadline = time.monotonic() + PATIENCE
    while ALSO_FIRST in statuses():
        same("the effect stands", time.monotonic() < deadline, True)
        time.sleep(0.01)


def watch(response, asked):
    """Watches a copy's job to its end: what it was, and the states and percentages on the way."""
    deadline = time.monotonic() + PATIENCE
    seen = []
    while not seen or seen[-1][0] in ("INIT", "RUNNING"):
        if time.monotonic() > deadline:
            raise AssertionError(f"the job is still {seen[-1]}")
        job = progress(response.job_id, asked)
        same("the job names the copy", job.entities.image_name, "copy")
        seen.append((job.status, job.entities.process_percent))
        time.sleep(0.02)
    same("it runs", "RUNNING" in [status for status, _ in seen], True)
    same("its percentage grows", [percent for _, percent in seen], sorted(percent for _, percent in seen))
    whole = asked.show_job(ims.ShowJobRequest(job_id=response.job_id))
    same("both addresses tell of one image", whole.entities.image_id, job.entities.image_id)
    return whole


def copy(of=GOLDEN, asked=owner, **fields):
    body = ims.CopyImageInRegionRequestBody(**{"name": "copy", **fields})
    return asked.copy_image_in_region(ims.CopyImageInRegionRequest(image_id=of, body=body))


def copy_away(of=GOLDEN, asked=owner, **fields):
    whole = {"name": "copy", "region": "cn-south-1", "project_name": "cn-south-1", "agency_name": "ims-copies", **fields}
    body = ims.CopyImageCrossRegionRequestBody(**whole)
    return asked.copy_image_cross_region(ims.CopyImageCrossRegionRequest(image_id=of, body=body))


def check_copies_in_region():
    job = watch(copy(description="of golden"), owner)
    same("the job", (job.status, job.job_type), ("SUCCESS", "imsCopyImageInRegionJob"))
    found = images(owner, name="copy")
    same("the copy", [(one.id, one.status, one.owner) for one in found], [(job.entities.image_id, "active", OWNER)])
    same("its fields", (found[0].description, found[0].originalimagename), ("of golden", GOLDEN))
    same("its size", (found[0].min_disk, found[0].image_size), (40, str(40 << 30)))
    job = watch(copy(cmk_id="owner-key"), owner)
    same("an encrypted one", images(owner, id=job.entities.image_id)[0].system__cmkid, "owner-key")
    same("offered and accepted", statuses()[FIRST], "accepted")
    job = watch(copy(asked=first), first)
    own = images(first, imagetype="private")
    same("a received image's copy", [(one.id, one.owner) for one in own], [(job.entities.image_id, FIRST)])
    refused("a bad name", "IMG.0003", lambda: copy(name="a/b"))
    refused("a full server", "IMG.0130", lambda: copy(SERVER))
    refused("no such key", "IMG.0095", lambda: copy(cmk_id="nobody's"))
    refused("a stranger's", "IMG.0144", lambda: copy(image(4)))


def check_copies_to_another_region():
    south = client("OWNERKEY", "owner-secret", SOUTH)
    job = watch(copy_away(), owner)
    same("the job", (job.status, job.job_type), ("SUCCESS", "imsCopyImageCrossRegionJob"))
    found = images(south, name="copy")
    same("the copy", [(one.id, one.status, one.owner) for one in found], [(job.entities.image_id, "active", SOUTH)])
    refused("no vault", "IMG.0184", lambda: copy_away(SERVER))
    same("a full server", watch(copy_away(SERVER, vault_id="southern-vault"), owner).status, "SUCCESS")
    refused("an agency that is not", "IMG.0179", lambda: copy_away(agency_name="nobody"))
    refused("another's image", "IMG.0047", lambda: copy_away(asked=first))
    control("PATCH", f"/huawei/images/{GOLDEN}", {"copiesFail": "IMG.0046"})
    job = watch(copy_away(), owner)
    same("a copy that fails", (job.status, job.error_code, bool(job.fail_reason)), ("FAIL", "IMG.0046", True))
    same("its image", sorted(one.status for one in images(south, name="copy")), ["active", "active", "killed"])
    control("PATCH", f"/huawei/images/{GOLDEN}", {"copiesFail": "", "copySeconds": 60})
    for _ in range(5):
        copy_away()
    refused("a sixth at a time", "IMG.0060", copy_away)
    entries = [entry for entry in control("GET", "/journal")["entries"] if entry.get("copy")]
    begun = [entry["copy"] for entry in entries if entry["action"] == "CopyImageCrossRegion"]
    same("journalled", [(one["region"], one["owner"]) for one in begun], [("cn-south-1", SOUTH)] * 8)
    ended = [entry["code"] for entry in entries if entry["action"] == "JobEffect"]
    same("with their ends", ended, ["OK"] * 5 + ["IMG.0046"])


def check_lock():
    wrong = client("SECONDKEY", "wrong", SECOND)
    for _ in range(5):
        refused("a wrong secret", "APIGW.0301", lambda: images(wrong), 401)
    refused("the right one afterwards", "APIGW.0301", lambda: images(second), 401)
    control("PUT", "/clock", {"advanceSeconds": 300})


def delete(of=GOLDEN):
    return owner.glance_delete_image(ims.GlanceDeleteImageRequest(image_id=of))


def check_deletion():
    control("PUT", "/clock", {"offsetSeconds": 0})
    control("PATCH", f"/huawei/images/{GOLDEN}", {"protected": True})
    refused("protected", "IMG.0028", delete)
    control("PATCH", f"/huawei/images/{GOLDEN}", {"protected": False})
    delete()
    deadline = time.monotonic() + PATIENCE
    while images(owner, id=GOLDEN):
        same("gone in time", time.monotonic() < deadline, True)
        time.sleep(0.01)
    refused("deleted twice", "IMG.0144", delete)
    same("gone from the recipient", received(first, "accepted"), [SERVER])
    last = [entry for entry in control("GET", "/journal")["entries"] if (entry["effect"] or {}).get("deleted")]
    same("journalled", [(entry["image"], entry["effect"]["removed"]) for entry in last], [(GOLDEN, [FIRST])])


CHECKS = [
    check_discovery, check_images, check_share, check_answers, check_paging, check_domains_and_organizations,
    check_full_server, check_refusals, check_one_member, check_quota, check_weather,
    check_copies_in_region, check_copies_to_another_region, check_lock, check_deletion,
]  # fmt: skip

for check in CHECKS:
    print(check.__name__.replace("_", " "), flush=True)
    check()
