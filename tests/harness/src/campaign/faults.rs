//! Carries faults out, each to its end: whoever was halted goes on, whoever was killed is started again.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::fault::{Fault, Trouble};
use super::plan::ByHand;
use crate::control_plane::ControlPlane;
use crate::operator::Operator;
use crate::proxy::{Deed, FaultProxy, Moment, Rule, Trigger, Upstream, Which};
use crate::simulator::Simulator;

/// How long a write is waited for at which the operator is to be killed.
const WRITE: Duration = Duration::from_secs(4);

/// Those whom faults befall.
pub(super) struct Victims {
    pub(super) operator: Mutex<Operator>,
    /// When a process of it ended.
    pub(super) outages: std::sync::Mutex<Vec<Outage>>,
    pub(super) control_plane: ControlPlane,
    /// One at a time restarts the API server.
    pub(super) restarting: Mutex<()>,
    /// The way to the API server and to Alibaba Cloud.
    pub(super) proxy: FaultProxy,
    /// The way to Huawei Cloud.
    pub(super) huawei: FaultProxy,
    pub(super) weather: Mutex<()>,
    /// Scripted faults that last for a time of their own.
    pub(super) standing: Mutex<Vec<Value>>,
}

/// A time without the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    /// It was killed, and another process came after it.
    Killed(Timestamp),
    /// It ended by itself with this status, and another process came after it.
    Ended(Timestamp, i32),
}

impl Victims {
    fn note(&self, outage: Outage) {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner).push(outage);
    }

    fn outages(&self) -> Vec<Outage> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When a process ended, in whatever way.
    pub(super) fn kills(&self) -> Vec<Timestamp> {
        self.outages().into_iter().map(|(Outage::Killed(at) | Outage::Ended(at, _))| at).collect()
    }

    /// The statuses of processes that ended by themselves.
    pub(super) fn ended_by_itself(&self) -> Vec<i32> {
        let status = |outage| if let Outage::Ended(_, status) = outage { Some(status) } else { None };
        self.outages().into_iter().filter_map(status).collect()
    }

    /// Lets a fault befall whom it is for, and waits until it is over.
    pub(super) async fn befall(&self, fault: &Fault, cloud: &Simulator) -> Result<()> {
        match fault {
            Fault::Kill { down } => self.kill(*down).await,
            Fault::KillAtWrite { nth, applied, huawei } => self.kill_at_write(*nth, *applied, *huawei).await,
            Fault::Freeze { millis } => {
                let mut operator = self.operator.lock().await;
                if operator.process.ended()?.is_some() {
                    return Ok(());
                }
                operator.freeze()?;
                sleep(Duration::from_millis(*millis)).await;
                operator.thaw()
            }
            Fault::ApiServerRestart { down } => {
                let _alone = self.restarting.lock().await;
                self.control_plane.stop_api_server()?;
                sleep(Duration::from_millis(*down)).await;
                self.control_plane.start_api_server().await
            }
            Fault::WatchCut => {
                self.proxy.disconnect(Upstream::Kubernetes);
                Ok(())
            }
            Fault::StaleWatches { about, millis } => {
                let watches = Which::read().to(Upstream::Kubernetes).path("watch=").path(about);
                let silent = self.proxy.add(Rule::new(watches, Deed::HoldAnswer(0)));
                self.proxy.disconnect(Upstream::Kubernetes);
                sleep(Duration::from_millis(*millis)).await;
                // What was held is told then.
                silent.release();
                Ok(())
            }
            Fault::Kubernetes { trouble, about, writes, times, millis } => {
                let which = if *writes { Which::write() } else { Which::any() };
                let rule = Rule::new(which.to(Upstream::Kubernetes).path(about), deed(*trouble)).times(*times);
                let trigger = self.proxy.add(rule);
                sleep(Duration::from_millis(*millis)).await;
                drop(trigger);
                Ok(())
            }
            Fault::Weather { climate, millis } => self.weather(climate, *millis, cloud).await,
            Fault::Cloud { fault, millis } => {
                cloud.post_fault(fault).await?;
                sleep(Duration::from_millis(*millis)).await;
                Ok(())
            }
            Fault::Outage { fault, millis, .. } => self.suffer(fault, *millis, cloud).await,
        }
    }

    /// Scripted faults end all together: those that last are injected anew.
    async fn suffer(&self, fault: &Value, millis: u64, cloud: &Simulator) -> Result<()> {
        cloud.post_fault(fault).await?;
        self.standing.lock().await.push(fault.clone());
        sleep(Duration::from_millis(millis)).await;
        let mut standing = self.standing.lock().await;
        standing.retain(|other| other != fault);
        cloud.clear_faults().await?;
        for other in standing.iter() {
            cloud.post_fault(other).await?;
        }
        Ok(())
    }

    async fn kill(&self, down: u64) -> Result<()> {
        let mut operator = self.operator.lock().await;
        self.note(Outage::Killed(Timestamp::now()));
        operator.kill9();
        sleep(Duration::from_millis(down)).await;
        operator.restart()
    }

    async fn kill_at_write(&self, nth: u64, applied: bool, huawei: bool) -> Result<()> {
        let moment = if applied { Moment::AfterApply } else { Moment::BeforeForward };
        let proxy = if huawei { &self.huawei } else { &self.proxy };
        let trigger: Trigger = proxy.on_nth_write(nth, moment);
        if trigger.reached(WRITE).await.is_err() {
            return Ok(());
        }
        let mut operator = self.operator.lock().await;
        self.note(Outage::Killed(Timestamp::now()));
        operator.kill9();
        trigger.cut();
        operator.restart()
    }

    /// One weather at a time.
    async fn weather(&self, climate: &Value, millis: u64, cloud: &Simulator) -> Result<()> {
        let _alone = self.weather.lock().await;
        cloud.put("/weather", climate).await?;
        sleep(Duration::from_millis(millis)).await;
        cloud.put("/weather", &json!({})).await.map(drop)
    }

    /// A process that ended by itself is started again, as a cluster would.
    pub(super) async fn revive(&self) -> Result<()> {
        let mut operator = self.operator.lock().await;
        if let Some(status) = operator.process.ended()? {
            self.note(Outage::Ended(Timestamp::now(), status));
            operator.restart()?;
        }
        Ok(())
    }
}

fn deed(trouble: Trouble) -> Deed {
    let refusal = |code: u16, reason: &str| {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": reason, "message": "refused by the campaign", "code": code});
        Deed::Answer(code, status.to_string())
    };
    match trouble {
        Trouble::Conflict => refusal(409, "Conflict"),
        Trouble::Unavailable => refusal(503, "ServiceUnavailable"),
        Trouble::TooManyRequests => refusal(429, "TooManyRequests"),
        Trouble::CutBefore => Deed::CutBefore,
        Trouble::CutAfter => Deed::CutAfter,
        Trouble::Late(millis) => Deed::Delay(Duration::from_millis(millis)),
    }
}

/// Changes who has an image. One that is gone has nobody.
pub(super) async fn change_by_hand(cloud: &Simulator, change: &ByHand) -> Result<()> {
    let members = |ids: &[String]| ids.iter().map(|id| json!({"type": "project", "id": id})).collect::<Vec<_>>();
    let (path, there) = if change.huawei {
        ("/huawei/members", cloud.huawei_image(&change.image).await?)
    } else {
        ("/permissions", cloud.image(&change.image).await?)
    };
    if there.is_none() {
        return Ok(());
    }
    let body = if change.huawei {
        json!({"image": change.image, "add": members(&change.add), "remove": members(&change.remove)})
    } else {
        json!({"image": change.image, "add": change.add, "remove": change.remove})
    };
    match cloud.post(path, &body).await {
        // It went meanwhile.
        Err(error) if !error.to_string().contains("404") => Err(error),
        _ => Ok(()),
    }
}

/// Victims shared by those who carry faults out.
pub(super) type Shared = Arc<Victims>;
