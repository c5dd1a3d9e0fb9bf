terraform {
  required_providers {
    huaweicloud = { source = "huaweicloud/huaweicloud" }
  }
}

provider "huaweicloud" {
  region     = "cn-north-4"
  access_key = "OWNERKEY"
  secret_key = "owner-secret"
}

provider "huaweicloud" {
  alias      = "recipient"
  region     = "cn-north-4"
  access_key = "FIRSTKEY"
  secret_key = "first-secret"
}

locals { golden = "cc4f2d1e-0000-4000-8000-000000000001" }

variable "projects" { default = [] }
variable "accepted" { default = false }
variable "copies" { default = {} }
variable "made" { default = false }
variable "name" { default = "copy" }
variable "tags" { default = { team = "core" } }

data "huaweicloud_images_image" "golden" {
  name        = "golden"
  visibility  = "private"
  most_recent = true
}

data "huaweicloud_images_images" "own" {
  visibility = "private"
  name_regex = "^golden"
}

data "huaweicloud_images_images" "vendor" {
  visibility = "public"
  os         = "EulerOS"
}

data "huaweicloud_images_images" "received" {
  provider   = huaweicloud.recipient
  visibility = "shared"
  depends_on = [huaweicloud_images_image_share_accepter.golden]
}

data "huaweicloud_ims_quotas" "all" {}

data "huaweicloud_ims_os_versions" "all" {}

data "huaweicloud_ims_tags" "all" {
  depends_on = [huaweicloud_images_image_copy.golden, huaweicloud_ims_ecs_system_image.made, huaweicloud_ims_evs_system_image.made]
}

data "huaweicloud_ims_images_by_tags" "tagged" {
  action     = "filter"
  depends_on = [huaweicloud_images_image_copy.golden, huaweicloud_ims_ecs_system_image.made, huaweicloud_ims_evs_system_image.made]
  dynamic "tags" {
    for_each = var.tags
    content {
      key    = tags.key
      values = [tags.value]
    }
  }
}

data "huaweicloud_ims_image_shared_members" "golden" {
  image_id   = local.golden
  depends_on = [huaweicloud_images_image_share.golden, huaweicloud_images_image_share_accepter.golden]
}

resource "huaweicloud_images_image_share" "golden" {
  count              = length(var.projects) > 0 ? 1 : 0
  source_image_id    = local.golden
  target_project_ids = var.projects
}

resource "huaweicloud_images_image_share_accepter" "golden" {
  provider   = huaweicloud.recipient
  count      = var.accepted ? 1 : 0
  image_id   = local.golden
  depends_on = [huaweicloud_images_image_share.golden]
}

resource "huaweicloud_images_image_copy" "golden" {
  for_each        = var.copies
  source_image_id = local.golden
  target_region   = each.key
  agency_name     = each.value
  name            = "${var.name}-${each.key}"
  description     = "of golden, ${var.name}"
  min_ram         = 1024
  tags            = var.tags
}

resource "huaweicloud_ims_ecs_system_image" "made" {
  count       = var.made ? 1 : 0
  instance_id = "server-1"
  name        = "${var.name}-of-server"
  description = "of a server, ${var.name}"
  min_ram     = 1024
  tags        = var.tags
}

resource "huaweicloud_ims_evs_system_image" "made" {
  count       = var.made ? 1 : 0
  volume_id   = "volume-1"
  os_version  = "Huawei Cloud EulerOS 2.0 64bit"
  name        = "${var.name}-of-disk"
  description = "of a disk, ${var.name}"
  tags        = var.tags
}

output "golden" { value = data.huaweicloud_images_image.golden.id }
output "own" { value = data.huaweicloud_images_images.own.images[*].name }
output "vendor" { value = data.huaweicloud_images_images.vendor.images[*].name }
output "received" { value = data.huaweicloud_images_images.received.images[*].name }
output "quotas" { value = data.huaweicloud_ims_quotas.all.quotas[0].resources[*].type }
output "platforms" { value = data.huaweicloud_ims_os_versions.all.os_versions[*].platform }
output "tags" { value = { for one in data.huaweicloud_ims_tags.all.tags : one.key => one.values } }
output "tagged" { value = data.huaweicloud_ims_images_by_tags.tagged.resources[*].resource_name }
output "members" { value = { for one in data.huaweicloud_ims_image_shared_members.golden.members : one.member_id => one.status } }
output "made" {
  value = concat(huaweicloud_ims_ecs_system_image.made[*].id, huaweicloud_ims_evs_system_image.made[*].id)
}
