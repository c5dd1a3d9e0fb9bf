//! Offers and answers, on every cloud that has them: one list of scenarios, run over each cloud, judged by what the cloud
//! itself says.

mod alibaba;
mod glance;
mod huawei_only;
mod openstack;
mod scenarios;
mod stage;

/// Runs each scenario over each cloud, as a test of its own.
macro_rules! over_each_cloud {
    ($($scenario:ident),* $(,)?) => {
        mod at_huawei {
            $(#[tokio::test]
            async fn $scenario() -> anyhow::Result<()> {
                crate::scenarios::$scenario(&crate::stage::huawei().await?).await
            })*
        }

        mod at_openstack {
            $(#[tokio::test]
            async fn $scenario() -> anyhow::Result<()> {
                crate::scenarios::$scenario(&crate::openstack::Glance::enter().await?).await
            })*
        }
    };
}

over_each_cloud!(
    an_image_is_offered_to_three_accepted_rejected_accepted_again_and_unshared,
    the_owner_sees_the_answer_and_the_receiver_sees_the_end,
    a_decision_changed_is_answered_anew,
    an_image_from_another_owner_is_not_answered,
    of_two_acceptances_of_one_offer_the_elder_acts,
    deleting_an_acceptance_leaves_the_answer_or_rejects_as_asked,
    what_others_share_is_listed_and_kept_in_step,
    an_image_to_be_deleted_waits_for_its_recipients,
    a_received_image_cannot_be_shared_on,
);
