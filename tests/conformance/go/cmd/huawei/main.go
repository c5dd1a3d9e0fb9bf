// Huawei Cloud's own SDK.
package main

import (
	"fmt"
	"time"

	"conformance/internal/life"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/global"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/region"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	iam "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3"
	identity "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"
	ims "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ims/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ims/v2/model"
)

const (
	golden   = "cc4f2d1e-0000-4000-8000-000000000001"
	older    = "cc4f2d1e-0000-4000-8000-000000000002"
	own      = "0a000000000000000000000000000000"
	receiver = "1a000000000000000000000000000000"
	patience = 30 * time.Second
)

var projects = []string{receiver, "1b000000000000000000000000000000", "1c000000000000000000000000000000"}

func client(key, secret, project, token string) *ims.ImsClient {
	_, address := life.Addresses()
	credentials := basic.NewCredentialsBuilder().WithAk(key).WithSk(secret).WithProjectId(project).WithSecurityToken(token).Build()
	here := region.NewRegion("cn-north-4", address)
	return ims.NewImsClient(ims.ImsClientBuilder().WithRegion(here).WithCredential(credentials).Build())
}

var (
	owner     = client("OWNERKEY", "owner-secret", own, "")
	first     = client("FIRSTKEY", "first-secret", receiver, "")
	temporary = client("TEMPORARY", "temporary-secret", own, "tok/en+=")
)

func refused(what, code string, err error) error {
	if failed, ok := err.(*sdkerr.ServiceResponseError); ok {
		return life.Same(what, failed.ErrorCode, code)
	}
	return fmt.Errorf("%s: got %v, expected %s", what, err, code)
}

func finish(asked *ims.ImsClient, job *string) (*model.ShowJobResponse, error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		shown, err := asked.ShowJob(&model.ShowJobRequest{JobId: *job})
		if err != nil {
			return nil, err
		}
		switch shown.Status.Value() {
		case "SUCCESS":
			return shown, nil
		case "FAIL":
			return shown, fmt.Errorf("the job failed: %s", *shown.FailReason)
		}
	}
	return nil, fmt.Errorf("the job does not end")
}

func expect(what string, asked *ims.ImsClient, expected []string, request *model.ListImagesRequest) error {
	response, err := asked.ListImages(request)
	if err != nil {
		return err
	}
	names := []string{}
	for _, image := range *response.Images {
		names = append(names, image.Name)
	}
	return life.Same(what, names, expected)
}

func share(wanted []string) error {
	body := &model.BatchAddMembersRequestBody{Images: []string{golden}, Projects: wanted}
	response, err := owner.BatchAddMembers(&model.BatchAddMembersRequest{Body: body})
	if err != nil {
		return err
	}
	_, err = finish(owner, response.JobId)
	return err
}

func statuses() (map[string]string, error) {
	told, limit := map[string]string{}, int32(2)
	var marker *string
	for {
		page, err := owner.ListImageMembers(&model.ListImageMembersRequest{ImageId: golden, Limit: &limit, Marker: marker})
		if err != nil {
			return nil, err
		}
		for _, member := range *page.Members {
			told[member.MemberId] = member.Status
		}
		if page.PageInfo.NextMarker == "" {
			return told, nil
		}
		marker = &page.PageInfo.NextMarker
	}
}

func list() error {
	private := model.GetListImagesRequestImagetypeEnum().PRIVATE
	name, ascending := model.GetListImagesRequestSortKeyEnum().NAME, model.GetListImagesRequestSortDirEnum().ASC
	status := model.GetListImagesRequestSortKeyEnum().STATUS
	both := []string{"golden", "golden-older"}
	return life.All(
		expect("by name", owner, both, &model.ListImagesRequest{Imagetype: &private, SortKey: &name, SortDir: &ascending}),
		expect("by status", owner, both, &model.ListImagesRequest{Imagetype: &private, SortKey: &status}),
	)
}

func shareAndPage() error {
	if err := share(projects); err != nil {
		return err
	}
	told, err := statuses()
	expected := map[string]string{}
	for _, project := range projects {
		expected[project] = "pending"
	}
	return life.All(err, life.Same("members", told, expected))
}

func answer(status model.BatchUpdateMembersRequestBodyStatus) error {
	body := &model.BatchUpdateMembersRequestBody{Images: []string{golden}, ProjectId: receiver, Status: status}
	response, err := first.BatchUpdateMembers(&model.BatchUpdateMembersRequest{Body: body})
	if err != nil {
		return err
	}
	if _, err := finish(first, response.JobId); err != nil {
		return err
	}
	told, err := statuses()
	return life.All(err, life.Same("the owner sees it", told[receiver], status.Value()))
}

func copyImage() error {
	body := &model.CopyImageInRegionRequestBody{Name: "copy"}
	response, err := owner.CopyImageInRegion(&model.CopyImageInRegionRequest{ImageId: golden, Body: body})
	if err != nil {
		return err
	}
	job, err := finish(owner, response.JobId)
	if err != nil {
		return err
	}
	return expect("the copy", owner, []string{"copy"}, &model.ListImagesRequest{Id: job.Entities.ImageId})
}

func rename() error {
	change := []model.UpdateImageRequestBody{{Op: model.GetUpdateImageRequestBodyOpEnum().REPLACE, Path: "/name", Value: "silver"}}
	_, err := owner.UpdateImage(&model.UpdateImageRequest{ImageId: older, Body: &change})
	id := older
	return life.All(err, expect("its name", owner, []string{"silver"}, &model.ListImagesRequest{Id: &id}))
}

func tag() error {
	body := &model.AddImageTagRequestBody{Tag: &model.ResourceTag{Key: "team", Value: "core"}}
	if _, err := owner.AddImageTag(&model.AddImageTagRequest{ImageId: golden, Body: body}); err != nil {
		return err
	}
	listed, err := owner.ListImageTags(&model.ListImageTagsRequest{ImageId: golden})
	if err != nil {
		return err
	}
	by := "team=core"
	return life.All(
		life.Same("tags", *listed.Tags, []model.ResourceTag{{Key: "team", Value: "core"}}),
		expect("by tag", owner, []string{"golden"}, &model.ListImagesRequest{Tag: &by}),
	)
}

func beRefused() error {
	return life.All(
		refused("nobody", "IMG.0108", share([]string{"ffffffffffffffffffffffffffffffff"})),
		refused("oneself", "IMG.0076", share([]string{own})),
	)
}

func beThrottled() error {
	if err := life.Throttle("ListImages"); err != nil {
		return err
	}
	_, err := owner.ListImages(&model.ListImagesRequest{})
	return refused("throttled", "APIGW.0308", err)
}

// By an agency that the recipients' domain delegated to the owners'.
func assume(agency string) (*ims.ImsClient, error) {
	_, address := life.Addresses()
	key := global.NewCredentialsBuilder().WithAk("OWNERKEY").WithSk("owner-secret").WithDomainId("d0000000000000000000000000000000").Build()
	asked := iam.NewIamClient(iam.IamClientBuilder().WithRegion(region.NewRegion("cn-north-4", address)).WithCredential(key).Build())
	domain := "recipients"
	role := &identity.IdentityAssumerole{AgencyName: agency, DomainName: &domain}
	method := identity.GetAgencyAuthIdentityMethodsEnum().ASSUME_ROLE
	who := &identity.AgencyAuthIdentity{Methods: []identity.AgencyAuthIdentityMethods{method}, AssumeRole: role}
	body := &identity.CreateTemporaryAccessKeyByAgencyRequestBody{Auth: &identity.AgencyAuth{Identity: who}}
	answer, err := asked.CreateTemporaryAccessKeyByAgency(&identity.CreateTemporaryAccessKeyByAgencyRequest{Body: body})
	if err != nil {
		return nil, err
	}
	given := answer.Credential
	return client(given.Access, given.Secret, receiver, given.Securitytoken), nil
}

func assumeRole() error {
	played, err := assume("share")
	if err != nil {
		return err
	}
	shared, pending := model.GetListImagesRequestVisibilityEnum().SHARED, model.GetListImagesRequestMemberStatusEnum().PENDING
	_, none := assume("other")
	failed, ok := none.(*sdkerr.ServiceResponseError)
	if !ok || failed.StatusCode != 403 {
		return fmt.Errorf("no such agency: got %v", none)
	}
	return expect("received", played, []string{"golden"}, &model.ListImagesRequest{Visibility: &shared, MemberStatus: &pending})
}

func quota(asked *ims.ImsClient) error {
	_, err := asked.ShowImageQuota(&model.ShowImageQuotaRequest{})
	return err
}

func expire() error {
	if err := quota(temporary); err != nil {
		return err
	}
	if err := life.Admin("PATCH", "/huawei/keys/TEMPORARY", `{"expired": true}`); err != nil {
		return err
	}
	return refused("after", "APIGW.0301", quota(temporary))
}

func main() {
	answers := model.GetBatchUpdateMembersRequestBodyStatusEnum()
	life.Run("huaweicloud-sdk-go-v3 (Go), SDK-HMAC-SHA256", []life.Step{
		{Name: "identity", Do: func() error { return quota(owner) }},
		{Name: "list", Do: list},
		{Name: "share_and_page", Do: shareAndPage},
		{Name: "assume_role", Do: assumeRole},
		{Name: "accept", Do: func() error { return answer(answers.ACCEPTED) }},
		{Name: "reject", Do: func() error { return answer(answers.REJECTED) }},
		{Name: "copy", Do: copyImage},
		{Name: "rename", Do: rename},
		{Name: "tag", Do: tag},
		{Name: "be_refused", Do: beRefused},
		{Name: "be_throttled", Do: beThrottled},
		{Name: "sign_wrongly", Do: func() error {
			return refused("a wrong secret", "APIGW.0301", quota(client("FIRSTKEY", "wrong", receiver, "")))
		}},
		{Name: "expire", Do: expire},
		{Name: "delete", Do: func() error {
			_, err := owner.GlanceDeleteImage(&model.GlanceDeleteImageRequest{ImageId: golden})
			return err
		}},
	})
}
