// The older SDK of Alibaba Cloud, on which the Terraform provider is built: signature version 1.0.
package main

import (
	"fmt"
	"sort"
	"strings"

	"conformance/internal/life"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/ecs"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/sts"
)

const golden = "m-golden"

var recipients = []string{"1000000000000001", "1000000000000002", "1000000000000003"}

func client(credential auth.Credential) *ecs.Client {
	address, _ := life.Addresses()
	made, err := ecs.NewClientWithOptions("cn-hangzhou", sdk.NewConfig().WithScheme("HTTP").WithAutoRetry(false), credential)
	if err != nil {
		panic(err)
	}
	made.Domain = strings.TrimPrefix(address, "http://")
	return made
}

func tokens() *sts.Client {
	address, _ := life.Addresses()
	made, err := sts.NewClientWithOptions("cn-hangzhou", sdk.NewConfig().WithScheme("HTTP").WithAutoRetry(false), key("LTAIowner", "owner-secret"))
	if err != nil {
		panic(err)
	}
	made.Domain = strings.TrimPrefix(address, "http://")
	return made
}

func key(id, secret string) auth.Credential {
	return credentials.NewAccessKeyCredential(id, secret)
}

var (
	owner     = client(key("LTAIowner", "owner-secret"))
	recipient = client(key("LTAIrecipient", "recipient-secret"))
	temporary = client(credentials.NewStsTokenCredential("LTAItemporary", "temporary-secret", "tok/en+="))
)

func refused(what, code string, err error) error {
	if failed, ok := err.(errors.Error); ok {
		return life.Same(what, failed.ErrorCode(), code)
	}
	return fmt.Errorf("%s: got %v, expected %s", what, err, code)
}

func images(asked *ecs.Client, change func(*ecs.DescribeImagesRequest)) ([]string, error) {
	request := ecs.CreateDescribeImagesRequest()
	change(request)
	response, err := asked.DescribeImages(request)
	if err != nil {
		return nil, err
	}
	found := []string{}
	for _, image := range response.Images.Image {
		found = append(found, image.ImageId)
	}
	sort.Strings(found)
	return found, nil
}

func expect(what string, asked *ecs.Client, expected []string, change func(*ecs.DescribeImagesRequest)) error {
	found, err := images(asked, change)
	return life.All(err, life.Same(what, found, expected))
}

func share(asked *ecs.Client, add, remove []string) error {
	request := ecs.CreateModifyImageSharePermissionRequest()
	request.ImageId, request.AddAccount, request.RemoveAccount = golden, &add, &remove
	_, err := asked.ModifyImageSharePermission(request)
	return err
}

func identity() error {
	request := sts.CreateGetCallerIdentityRequest()
	request.Scheme = "HTTP"
	told, err := tokens().GetCallerIdentity(request)
	if err != nil {
		return err
	}
	return life.Same("account", told.AccountId, "2000000000000000")
}

func assumeRole() error {
	request := sts.CreateAssumeRoleRequest()
	request.Scheme, request.RoleSessionName = "HTTP", "life"
	request.RoleArn = "acs:ram::1000000000000001:role/share"
	answer, err := tokens().AssumeRole(request)
	if err != nil {
		return err
	}
	given := answer.Credentials
	played := client(credentials.NewStsTokenCredential(given.AccessKeyId, given.AccessKeySecret, given.SecurityToken))
	received := func(r *ecs.DescribeImagesRequest) { r.ImageOwnerAlias = "others" }
	request.RoleArn = "acs:ram::1000000000000001:role/other"
	_, none := tokens().AssumeRole(request)
	return life.All(expect("received", played, []string{golden}, received), refused("no such role", "EntityNotExist.Role", none))
}

func list() error {
	own := []string{golden, "m-golden2"}
	return life.All(
		expect("by a part of the name", owner, own, func(r *ecs.DescribeImagesRequest) { r.ImageName = "golden" }),
		expect("own ones", owner, own, func(r *ecs.DescribeImagesRequest) { r.ImageOwnerAlias = "self" }),
		expect("of none", owner, []string{}, func(r *ecs.DescribeImagesRequest) { r.ImageName = "镜像 a*b~c/d+e" }),
	)
}

func shareAndPage() error {
	if err := share(owner, recipients, nil); err != nil {
		return err
	}
	found := []string{}
	for number := 1; number <= 2; number++ {
		request := ecs.CreateDescribeImageSharePermissionRequest()
		request.ImageId, request.PageNumber, request.PageSize = golden, requests.NewInteger(number), requests.NewInteger(2)
		response, err := owner.DescribeImageSharePermission(request)
		if err != nil {
			return err
		}
		for _, account := range response.Accounts.Account {
			found = append(found, account.AliyunId)
		}
	}
	received := func(r *ecs.DescribeImagesRequest) { r.ImageOwnerAlias = "others" }
	return life.All(life.Same("recipients by pages", found, recipients), expect("received", recipient, []string{golden}, received))
}

func deleteImage(id string) error {
	request := ecs.CreateDeleteImageRequest()
	request.ImageId = id
	_, err := owner.DeleteImage(request)
	return err
}

func copyImage() error {
	request := ecs.CreateCopyImageRequest()
	request.ImageId, request.DestinationRegionId, request.DestinationImageName = golden, "cn-hangzhou", "golden-copy"
	request.Tag = &[]ecs.CopyImageTag{{Key: "team", Value: "core"}}
	response, err := owner.CopyImage(request)
	if err != nil {
		return err
	}
	by := func(r *ecs.DescribeImagesRequest) { r.ImageId = response.ImageId }
	return life.All(expect("the copy", owner, []string{response.ImageId}, by), deleteImage(response.ImageId))
}

func rename() error {
	request := ecs.CreateModifyImageAttributeRequest()
	request.ImageId, request.ImageName = "m-golden2", "silver"
	_, err := owner.ModifyImageAttribute(request)
	by := func(r *ecs.DescribeImagesRequest) { r.ImageName = "silver" }
	return life.All(err, expect("its name", owner, []string{"m-golden2"}, by))
}

func tag() error {
	give := ecs.CreateTagResourcesRequest()
	give.ResourceType, give.ResourceId, give.Tag = "image", &[]string{golden}, &[]ecs.TagResourcesTag{{Key: "team", Value: "core"}}
	if _, err := owner.TagResources(give); err != nil {
		return err
	}
	list := ecs.CreateListTagResourcesRequest()
	list.ResourceType, list.ResourceId = "image", &[]string{golden}
	listed, err := owner.ListTagResources(list)
	if err != nil {
		return err
	}
	tags := map[string]string{}
	for _, row := range listed.TagResources.TagResource {
		tags[row.TagKey] = row.TagValue
	}
	take := ecs.CreateUntagResourcesRequest()
	take.ResourceType, take.ResourceId, take.TagKey = "image", &[]string{golden}, &[]string{"team"}
	_, err = owner.UntagResources(take)
	return life.All(err, life.Same("tags", tags, map[string]string{"team": "core"}))
}

func beRefused() error {
	return life.All(
		refused("oneself", "InvalidAccount.Forbbiden", share(owner, []string{"2000000000000000"}, nil)),
		refused("nobody", "InvalidAccount.NotFound", share(owner, []string{"1234567890123456"}, nil)),
		refused("not the owner", "InvalidImageId.NotFound", share(recipient, recipients, nil)),
	)
}

func nothing(*ecs.DescribeImagesRequest) {}

func beThrottled() error {
	if err := life.Throttle("DescribeImages"); err != nil {
		return err
	}
	_, err := images(owner, nothing)
	return refused("throttled", "Throttling.User", err)
}

func signWrongly() error {
	_, err := images(client(key("LTAIowner", "wrong")), nothing)
	// The SDK compares the text in the message with its own and says that the secret is what differs.
	failed, ok := err.(errors.Error)
	if !ok || !strings.Contains(failed.Error(), "InvalidAccessKeySecret") {
		return fmt.Errorf("a wrong secret: got %v", err)
	}
	return nil
}

func expire() error {
	if _, err := images(temporary, nothing); err != nil {
		return err
	}
	if err := life.Admin("PATCH", "/keys/LTAItemporary", `{"expired": true}`); err != nil {
		return err
	}
	_, err := images(temporary, nothing)
	return refused("after", "InvalidSecurityToken.Expired", err)
}

func remove() error {
	return life.All(
		refused("while it is shared", "ImageUseShared", deleteImage(golden)),
		share(owner, nil, recipients),
		deleteImage(golden),
		expect("gone", owner, []string{}, func(r *ecs.DescribeImagesRequest) { r.ImageName = "golden" }),
	)
}

func main() {
	life.Run("alibaba-cloud-sdk-go (Go), HMAC-SHA1", []life.Step{
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
