#!/usr/bin/env python3
"""The Terraform provider of Alibaba Cloud: every data source and resource of images that needs no bucket."""

from terraform import Terraform, live, same

ACCOUNTS = [f"100000000000000{number}" for number in (1, 2, 3)]
COPIES = {"cn-hangzhou": "m-golden", "cn-beijing": "m-there"}

with Terraform("alicloud.tf", "aliyun/alicloud") as terraform:

    def read():
        terraform.apply()
        same("own ones", sorted(terraform.output("own")), ["m-golden", "m-golden2"])
        same("the vendor's", terraform.output("system"), ["aliyun_3_x64.vhd"])

    def share():
        terraform.apply(recipients=ACCOUNTS)
        same("received", terraform.output("received"), ["m-golden"])
        terraform.apply(recipients=ACCOUNTS[:2])

    def copy():
        terraform.apply(copies=COPIES, made=True)
        made = [*terraform.output("copies").values(), *terraform.output("made")]
        same("tagged", sorted(terraform.output("tagged")), sorted(made))

    def adopt():
        (made,), copies = terraform.output("made"), terraform.output("copies")
        terraform.adopt(f'alicloud_image_share_permission.golden["{ACCOUNTS[0]}"]', f"m-golden:{ACCOUNTS[0]}")
        terraform.adopt("alicloud_image.made[0]", made)
        terraform.adopt('alicloud_image_copy.golden["cn-hangzhou"]', copies["cn-hangzhou"])
        same("the same images", (terraform.output("made"), terraform.output("copies")), ([made], copies))

    live(
        "terraform-provider-alicloud",
        [
            ("list", read),
            ("share_and_page", share),
            ("copy", copy),
            ("plan_again", terraform.plan_is_empty),
            ("rename", lambda: terraform.apply(name="silver")),
            ("tag", lambda: terraform.apply(tags={"team": "edge", "stage": "prod"})),
            ("import", adopt),
            ("delete", terraform.destroy),
        ],
    )
