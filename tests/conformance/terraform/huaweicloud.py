#!/usr/bin/env python3
"""The Terraform provider of Huawei Cloud: every data source of images; copies and shares, which cannot be imported; images of a
server and of a system disk. What needs a bucket, a backup or a data disk is left out."""

from terraform import Terraform, live, same

PROJECTS = ["1a" + "0" * 30, "1b" + "0" * 30, "1c" + "0" * 30]
COPIES = {"cn-north-4": None, "cn-south-1": "ims-copies"}

with Terraform("huaweicloud.tf", "huaweicloud/huaweicloud") as terraform:

    def read():
        terraform.apply()
        same("golden", terraform.output("golden"), "cc4f2d1e-0000-4000-8000-000000000001")
        same("own ones", terraform.output("own"), ["golden", "golden-older"])
        same("the vendor's", terraform.output("vendor"), ["linux"])
        same("quotas", terraform.output("quotas"), ["image"])
        same("systems", "EulerOS" in terraform.output("platforms"), True)

    def share():
        terraform.apply(projects=PROJECTS)
        same("members", terraform.output("members"), dict.fromkeys(PROJECTS, "pending"))
        terraform.apply(projects=PROJECTS[:2])
        same("fewer members", terraform.output("members"), dict.fromkeys(PROJECTS[:2], "pending"))

    def accept():
        terraform.apply(accepted=True)
        same("members", terraform.output("members")[PROJECTS[0]], "accepted")
        same("received", terraform.output("received"), ["golden"])

    def reject():
        terraform.apply(accepted=False)
        same("members", terraform.output("members")[PROJECTS[0]], "rejected")

    def copy():
        terraform.apply(copies=COPIES, made=True)
        same("tags", terraform.output("tags"), {"team": ["core"]})
        same("tagged", sorted(terraform.output("tagged")), ["copy-cn-north-4", "copy-of-disk", "copy-of-server"])

    def adopt():
        made = terraform.output("made")
        terraform.adopt("huaweicloud_ims_ecs_system_image.made[0]", made[0])
        terraform.adopt("huaweicloud_ims_evs_system_image.made[0]", made[1])
        same("the same images", terraform.output("made"), made)

    live(
        "terraform-provider-huaweicloud",
        [
            ("list", read),
            ("share_and_page", share),
            ("accept", accept),
            ("reject", reject),
            ("copy", copy),
            ("plan_again", terraform.plan_is_empty),
            ("rename", lambda: terraform.apply(name="silver")),
            ("tag", lambda: terraform.apply(tags={"team": "edge", "stage": "prod"})),
            ("import", adopt),
            ("delete", terraform.destroy),
        ],
    )
