terraform {
  required_providers {
    alicloud = { source = "aliyun/alicloud" }
  }
}

provider "alicloud" {
  region     = "cn-hangzhou"
  access_key = "LTAIowner"
  secret_key = "owner-secret"
}

provider "alicloud" {
  alias      = "recipient"
  region     = "cn-hangzhou"
  access_key = "LTAIrecipient"
  secret_key = "recipient-secret"
}

variable "recipients" { default = [] }
variable "copies" { default = {} }
variable "made" { default = false }
variable "name" { default = "copy" }
variable "tags" { default = { team = "core" } }

data "alicloud_images" "own" {
  owners     = "self"
  name_regex = "^golden"
}

data "alicloud_images" "system" {
  owners       = "system"
  most_recent  = true
  os_type      = "linux"
  architecture = "x86_64"
}

data "alicloud_images" "received" {
  provider   = alicloud.recipient
  owners     = "others"
  depends_on = [alicloud_image_share_permission.golden]
}

data "alicloud_images" "tagged" {
  owners     = "self"
  tags       = var.tags
  depends_on = [alicloud_image_copy.golden, alicloud_image.made]
}

resource "alicloud_image_share_permission" "golden" {
  for_each   = toset(var.recipients)
  image_id   = "m-golden"
  account_id = each.key
}

resource "alicloud_image_copy" "golden" {
  for_each         = var.copies
  source_image_id  = each.value
  source_region_id = each.key
  image_name       = "${var.name}-${each.key}"
  description      = "of ${each.key}, ${var.name}"
  tags             = var.tags
  lifecycle {
    # Not read from the cloud, so a copy that was imported has none.
    ignore_changes = [source_image_id, source_region_id]
  }
}

resource "alicloud_image" "made" {
  count       = var.made ? 1 : 0
  snapshot_id = "s-golden2a"
  image_name  = "${var.name}-made"
  description = "of a snapshot, ${var.name}"
  tags        = var.tags
  lifecycle {
    # Not read from the cloud, so an image that was imported has none.
    ignore_changes = [snapshot_id]
  }
}

output "own" { value = data.alicloud_images.own.ids }
output "system" { value = data.alicloud_images.system.ids }
output "received" { value = data.alicloud_images.received.ids }
output "tagged" { value = data.alicloud_images.tagged.ids }
output "copies" { value = { for region, copy in alicloud_image_copy.golden : region => copy.id } }
output "made" { value = alicloud_image.made[*].id }
