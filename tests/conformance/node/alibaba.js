// The steps at Alibaba Cloud. `ask(key, action, parameters)` answers as the wire has it; `codeOf` reads the code of what it throws.
'use strict';

const { admin, throttle, same, refused } = require('./life.js');

const OWNER = '2000000000000000';
const RECIPIENTS = ['1000000000000001', '1000000000000002', '1000000000000003'];
const OWNER_KEY = ['LTAIowner', 'owner-secret'];
const RECIPIENT_KEY = ['LTAIrecipient', 'recipient-secret'];
const TEMPORARY_KEY = ['LTAItemporary', 'temporary-secret', 'tok/en+='];
const TAG = [{ Key: 'team', Value: 'core' }];

function steps(ask, codeOf) {
  const images = async (filters, key = OWNER_KEY) => {
    const answer = await ask(key, 'DescribeImages', filters);
    return answer.Images.Image.map((one) => one.ImageId).sort();
  };
  const share = (change, key = OWNER_KEY) => ask(key, 'ModifyImageSharePermission', { ImageId: 'm-golden', ...change });
  const remove = (id) => ask(OWNER_KEY, 'DeleteImage', { ImageId: id });
  const isRefused = (what, code, call) => refused(what, code, codeOf, call);
  const role = (name) => ({ RoleArn: `acs:ram::${RECIPIENTS[0]}:role/${name}`, RoleSessionName: 'life' });
  return {
    async identity() {
      same('account', (await ask(OWNER_KEY, 'GetCallerIdentity', {})).AccountId, OWNER);
    },
    async list() {
      same('by a part of the name', await images({ ImageName: 'golden' }), ['m-golden', 'm-golden2']);
      same('own ones', await images({ ImageOwnerAlias: 'self' }), ['m-golden', 'm-golden2']);
      same('of none', await images({ ImageName: "镜像 a*b~c/d+e!'()" }), []);
    },
    async share_and_page() {
      await share({ AddAccount: RECIPIENTS });
      const found = [];
      for (const PageNumber of [1, 2]) {
        const page = await ask(OWNER_KEY, 'DescribeImageSharePermission', { ImageId: 'm-golden', PageNumber, PageSize: 2 });
        found.push(...page.Accounts.Account.map((row) => row.AliyunId));
      }
      same('recipients by pages', found, RECIPIENTS);
      same('received', await images({ ImageOwnerAlias: 'others' }, RECIPIENT_KEY), ['m-golden']);
    },
    async assume_role() {
      const { Credentials: given } = await ask(OWNER_KEY, 'AssumeRole', role('share'));
      const played = [given.AccessKeyId, given.AccessKeySecret, given.SecurityToken];
      same('received', await images({ ImageOwnerAlias: 'others' }, played), ['m-golden']);
      await isRefused('no such role', 'EntityNotExist.Role', () => ask(OWNER_KEY, 'AssumeRole', role('other')));
    },
    async copy() {
      const { ImageId } = await ask(OWNER_KEY, 'CopyImage', {
        ImageId: 'm-golden', DestinationRegionId: 'cn-hangzhou', DestinationImageName: 'golden-copy', Tag: TAG,
      });
      same('the copy', await images({ ImageId }), [ImageId]);
      await remove(ImageId);
    },
    async rename() {
      await ask(OWNER_KEY, 'ModifyImageAttribute', { ImageId: 'm-golden2', ImageName: 'silver' });
      same('its name', await images({ ImageName: 'silver' }), ['m-golden2']);
    },
    async tag() {
      const what = { ResourceType: 'image', ResourceId: ['m-golden'] };
      await ask(OWNER_KEY, 'TagResources', { ...what, Tag: TAG });
      const listed = await ask(OWNER_KEY, 'ListTagResources', what);
      const rows = listed.TagResources.TagResource.map((row) => [row.TagKey, row.TagValue]);
      same('tags', rows, [['team', 'core']]);
      await ask(OWNER_KEY, 'UntagResources', { ...what, TagKey: ['team'] });
      same('untagged', await images({ Tag: TAG }), []);
    },
    async be_refused() {
      await isRefused('oneself', 'InvalidAccount.Forbbiden', () => share({ AddAccount: [OWNER] }));
      await isRefused('nobody', 'InvalidAccount.NotFound', () => share({ AddAccount: ['1234567890123456'] }));
      await isRefused('not the owner', 'InvalidImageId.NotFound', () => share({ AddAccount: RECIPIENTS }, RECIPIENT_KEY));
      await isRefused('no effect', 'UnsupportedParameter', () => images({ InstanceType: 'ecs.g6.large' }));
    },
    async be_throttled() {
      await throttle('DescribeImages');
      await isRefused('throttled', 'Throttling.User', () => images({}));
    },
    async sign_wrongly() {
      await isRefused('a wrong secret', 'SignatureDoesNotMatch', () => images({}, ['LTAIowner', 'wrong']));
    },
    async expire() {
      same('before', (await images({ ImageOwnerAlias: 'self' }, TEMPORARY_KEY)).length, 2);
      await admin('PATCH', '/keys/LTAItemporary', { expired: true });
      await isRefused('after', 'InvalidSecurityToken.Expired', () => images({}, TEMPORARY_KEY));
    },
    async delete() {
      await isRefused('while it is shared', 'ImageUseShared', () => remove('m-golden'));
      await share({ RemoveAccount: RECIPIENTS });
      await remove('m-golden');
      same('gone', await images({ ImageName: 'golden' }), []);
    },
  };
}

module.exports = { steps };
