// The current SDK of Alibaba Cloud: signature version 3.
package main

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"conformance/internal/life"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	ecs "github.com/alibabacloud-go/ecs-20140526/v7/client"
	sts "github.com/alibabacloud-go/sts-20150401/v2/client"
	"github.com/alibabacloud-go/tea/tea"
)

const (
	golden = "m-golden"
	older  = "m-golden2"
)

var recipients = []string{"1000000000000001", "1000000000000002", "1000000000000003"}

func config(key, secret, token string) *openapi.Config {
	address, _ := life.Addresses()
	return &openapi.Config{
		AccessKeyId: &key, AccessKeySecret: &secret, SecurityToken: &token, RegionId: tea.String("cn-hangzhou"),
		Endpoint: tea.String(strings.TrimPrefix(address, "http://")), Protocol: tea.String("HTTP"),
	}
}

func must[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

func client(key, secret, token string) *ecs.Client {
	return must(ecs.NewClient(config(key, secret, token)))
}

var (
	region    = tea.String("cn-hangzhou")
	owner     = client("LTAIowner", "owner-secret", "")
	recipient = client("LTAIrecipient", "recipient-secret", "")
	temporary = client("LTAItemporary", "temporary-secret", "tok/en+=")
)

func refused(what, code string, err error) error {
	var told interface{ GetCode() *string }
	if errors.As(err, &told) {
		return life.Same(what, tea.StringValue(told.GetCode()), code)
	}
	var failed *tea.SDKError
	if errors.As(err, &failed) {
		return life.Same(what, tea.StringValue(failed.Code), code)
	}
	return fmt.Errorf("%s: got %v, expected %s", what, err, code)
}

func images(asked *ecs.Client, request ecs.DescribeImagesRequest) ([]string, error) {
	request.RegionId = region
	response, err := asked.DescribeImages(&request)
	if err != nil {
		return nil, err
	}
	found := []string{}
	for _, image := range response.Body.Images.Image {
		found = append(found, tea.StringValue(image.ImageId))
	}
	sort.Strings(found)
	return found, nil
}

func expect(what string, asked *ecs.Client, expected []string, request ecs.DescribeImagesRequest) error {
	found, err := images(asked, request)
	return life.All(err, life.Same(what, found, expected))
}

func share(asked *ecs.Client, add, remove []string) error {
	_, err := asked.ModifyImageSharePermission(&ecs.ModifyImageSharePermissionRequest{
		RegionId: region, ImageId: tea.String(golden), AddAccount: tea.StringSlice(add), RemoveAccount: tea.StringSlice(remove),
	})
	return err
}

func identity() error {
	asked := must(sts.NewClient(config("LTAIowner", "owner-secret", "")))
	told, err := asked.GetCallerIdentity()
	if err != nil {
		return err
	}
	return life.Same("account", tea.StringValue(told.Body.AccountId), "2000000000000000")
}

func list() error {
	own := []string{golden, older}
	return life.All(
		expect("by a part of the name", owner, own, ecs.DescribeImagesRequest{ImageName: tea.String("golden")}),
		expect("own ones", owner, own, ecs.DescribeImagesRequest{ImageOwnerAlias: tea.String("self")}),
		expect("of none", owner, []string{}, ecs.DescribeImagesRequest{ImageName: tea.String("镜像 a*b~c/d+e")}),
	)
}

func shareAndPage() error {
	if err := share(owner, recipients, nil); err != nil {
		return err
	}
	found := []string{}
	for number := int32(1); number <= 2; number++ {
		response, err := owner.DescribeImageSharePermission(&ecs.DescribeImageSharePermissionRequest{
			RegionId: region, ImageId: tea.String(golden), PageNumber: &number, PageSize: tea.Int32(2),
		})
		if err != nil {
			return err
		}
		for _, account := range response.Body.Accounts.Account {
			found = append(found, tea.StringValue(account.AliyunId))
		}
	}
	received := ecs.DescribeImagesRequest{ImageOwnerAlias: tea.String("others")}
	return life.All(life.Same("recipients by pages", found, recipients), expect("received", recipient, []string{golden}, received))
}

func assumeRole() error {
	asked := must(sts.NewClient(config("LTAIowner", "owner-secret", "")))
	role := &sts.AssumeRoleRequest{
		RoleArn: tea.String("acs:ram::1000000000000001:role/share"), RoleSessionName: tea.String("life"),
	}
	answer, err := asked.AssumeRole(role)
	if err != nil {
		return err
	}
	given := answer.Body.Credentials
	played := client(tea.StringValue(given.AccessKeyId), tea.StringValue(given.AccessKeySecret), tea.StringValue(given.SecurityToken))
	received := ecs.DescribeImagesRequest{ImageOwnerAlias: tea.String("others")}
	role.RoleArn = tea.String("acs:ram::1000000000000001:role/other")
	_, none := asked.AssumeRole(role)
	return life.All(expect("received", played, []string{golden}, received), refused("no such role", "EntityNotExist.Role", none))
}

func deleteImage(id string) error {
	_, err := owner.DeleteImage(&ecs.DeleteImageRequest{RegionId: region, ImageId: &id})
	return err
}

func copyImage() error {
	response, err := owner.CopyImage(&ecs.CopyImageRequest{
		RegionId: region, ImageId: tea.String(golden), DestinationRegionId: region, DestinationImageName: tea.String("golden-copy"),
		Tag: []*ecs.CopyImageRequestTag{{Key: tea.String("team"), Value: tea.String("core")}},
	})
	if err != nil {
		return err
	}
	id := tea.StringValue(response.Body.ImageId)
	return life.All(expect("the copy", owner, []string{id}, ecs.DescribeImagesRequest{ImageId: &id}), deleteImage(id))
}

func rename() error {
	_, err := owner.ModifyImageAttribute(&ecs.ModifyImageAttributeRequest{
		RegionId: region, ImageId: tea.String(older), ImageName: tea.String("silver"),
	})
	return life.All(err, expect("its name", owner, []string{older}, ecs.DescribeImagesRequest{ImageName: tea.String("silver")}))
}

func tag() error {
	kind, ids := tea.String("image"), []*string{tea.String(golden)}
	_, err := owner.TagResources(&ecs.TagResourcesRequest{
		RegionId: region, ResourceType: kind, ResourceId: ids,
		Tag: []*ecs.TagResourcesRequestTag{{Key: tea.String("team"), Value: tea.String("core")}},
	})
	if err != nil {
		return err
	}
	listed, err := owner.ListTagResources(&ecs.ListTagResourcesRequest{RegionId: region, ResourceType: kind, ResourceId: ids})
	if err != nil {
		return err
	}
	tags := map[string]string{}
	for _, row := range listed.Body.TagResources.TagResource {
		tags[tea.StringValue(row.TagKey)] = tea.StringValue(row.TagValue)
	}
	_, err = owner.UntagResources(&ecs.UntagResourcesRequest{
		RegionId: region, ResourceType: kind, ResourceId: ids, TagKey: []*string{tea.String("team")},
	})
	return life.All(err, life.Same("tags", tags, map[string]string{"team": "core"}))
}

func beRefused() error {
	_, noEffect := images(owner, ecs.DescribeImagesRequest{InstanceType: tea.String("ecs.g6.large")})
	return life.All(
		refused("oneself", "InvalidAccount.Forbbiden", share(owner, []string{"2000000000000000"}, nil)),
		refused("nobody", "InvalidAccount.NotFound", share(owner, []string{"1234567890123456"}, nil)),
		refused("not the owner", "InvalidImageId.NotFound", share(recipient, recipients, nil)),
		refused("no effect", "UnsupportedParameter", noEffect),
	)
}

func beThrottled() error {
	if err := life.Throttle("DescribeImages"); err != nil {
		return err
	}
	_, err := images(owner, ecs.DescribeImagesRequest{})
	return refused("throttled", "Throttling.User", err)
}

func signWrongly() error {
	_, err := images(client("LTAIowner", "wrong", ""), ecs.DescribeImagesRequest{})
	return refused("a wrong secret", "SignatureDoesNotMatch", err)
}

func expire() error {
	if _, err := images(temporary, ecs.DescribeImagesRequest{}); err != nil {
		return err
	}
	if err := life.Admin("PATCH", "/keys/LTAItemporary", `{"expired": true}`); err != nil {
		return err
	}
	_, err := images(temporary, ecs.DescribeImagesRequest{})
	return refused("after", "InvalidSecurityToken.Expired", err)
}

func remove() error {
	return life.All(
		refused("while it is shared", "ImageUseShared", deleteImage(golden)),
		share(owner, nil, recipients),
		deleteImage(golden),
		expect("gone", owner, []string{}, ecs.DescribeImagesRequest{ImageName: tea.String("golden")}),
	)
}

func main() {
	life.Run("ecs-20140526/v7 (Go), ACS3-HMAC-SHA256", []life.Step{
		{Name: "identity", Do: identity},
		{Name: "list", Do: list},
		{Name: "share_and_page", Do: shareAndPage},
		{Name: "assume_role", Do: assumeRole},
		{Name: "copy", Do: copyImage},
		{Name: "rename", Do: rename},
		{Name: "tag", Do: tag},
		{Name: "be_refused", Do: beRefused},
		{Name: "be_throttled", Do: beThrottled},
		{Name: "sign_wrongly", Do: signWrongly},
		{Name: "expire", Do: expire},
		{Name: "delete", Do: remove},
	})
}
