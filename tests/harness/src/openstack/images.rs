//! Images and their members, changed and read past the operator.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::{OpenStack, Project, Reply, built, text};

/// How long it may take to fill an image.
const FILLING: Duration = Duration::from_secs(120);

const PATCH: &str = "application/openstack-images-v2.1-json-patch";

/// What an image is made with.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// `shared` (as Glance does it), `private`, `community`.
    pub visibility: &'static str,
    /// Whether it may not be deleted.
    pub protected: bool,
    /// What it holds; without, it stays `queued`.
    pub bytes: Option<Vec<u8>>,
    /// Its other fields and its properties, as `{"min_disk": 2, "os_distro": "debian"}`.
    pub fields: Value,
}

impl Default for NewImage {
    fn default() -> Self {
        Self { visibility: "shared", protected: false, bytes: Some(b"disk".to_vec()), fields: Value::Null }
    }
}

impl OpenStack {
    /// Makes an image of a project; gives its id.
    pub async fn create_image(&self, owner: &Project, name: &str, image: NewImage) -> Result<String> {
        let mut wanted = json!({
            "name": name, "visibility": image.visibility, "protected": image.protected,
            "disk_format": "raw", "container_format": "bare",
        });
        if let (Value::Object(wanted), Value::Object(fields)) = (&mut wanted, image.fields) {
            wanted.extend(fields);
        }
        let made = self.image_call(owner, Method::POST, "", Some(&wanted)).await?.expect("making an image", &[201])?;
        let id = text(&made.json()?, "/id")?;
        if let Some(bytes) = image.bytes {
            self.fill_image(owner, &id, bytes).await?;
        }
        Ok(id)
    }

    /// Gives an image that has none its content.
    pub async fn fill_image(&self, owner: &Project, image: &str, bytes: impl Into<reqwest::Body>) -> Result<()> {
        let request = self.http.put(format!("{}/v2/images/{image}/file", self.image_url)).timeout(FILLING);
        let request = request.header("x-auth-token", self.token_of(owner).await?);
        let reply = request.header("content-type", "application/octet-stream").body(bytes).send().await?;
        ensure!(reply.status() == 204, "filling an image: {}: {}", reply.status(), reply.text().await?);
        Ok(())
    }

    /// The images of a project, half ones included. At most one page of 1,000.
    pub async fn images_of(&self, owner: &Project) -> Result<Vec<Value>> {
        let path = format!("?owner={}&limit=1000", owner.id);
        let answer = self.image_call(owner, Method::GET, &path, None).await?.expect("listing", &[200])?.json()?;
        answer.get("images").and_then(Value::as_array).cloned().context("no images")
    }

    /// An image as a project sees it; `None` if it does not.
    pub async fn image(&self, viewer: &Project, image: &str) -> Result<Option<Value>> {
        let reply = self.image_call(viewer, Method::GET, &format!("/{image}"), None).await?;
        let reply = reply.expect("reading an image", &[200, 404])?;
        if reply.status == 404 { Ok(None) } else { reply.json().map(Some) }
    }

    /// What an image holds, as a project may download it; `None` if it may not.
    pub async fn download(&self, viewer: &Project, image: &str) -> Result<Option<Vec<u8>>> {
        let reply = self.image_call(viewer, Method::GET, &format!("/{image}/file"), None).await?;
        let reply = reply.expect("downloading an image", &[200, 403, 404])?;
        Ok((reply.status == 200).then_some(reply.body))
    }

    /// All rows of an image's members with their status, as its owner sees them.
    pub async fn members(&self, owner: &Project, image: &str) -> Result<Vec<(String, String)>> {
        let reply = self.image_call(owner, Method::GET, &format!("/{image}/members"), None).await?;
        let answer = reply.expect("reading members", &[200])?.json()?;
        let rows = answer.get("members").and_then(Value::as_array).context("no members")?;
        rows.iter().map(|row| Ok((text(row, "/member_id")?, text(row, "/status")?))).collect()
    }

    /// The ids of the images others share with a project, by what it answered: `pending`, `accepted`, `rejected`, `all`.
    /// At most one page of 1,000.
    pub async fn list_as(&self, member: &Project, member_status: &str) -> Result<Vec<String>> {
        let path = format!("?visibility=shared&member_status={member_status}&limit=1000");
        let answer = self.image_call(member, Method::GET, &path, None).await?.expect("listing", &[200])?.json()?;
        let rows = answer.get("images").and_then(Value::as_array).context("no images")?;
        let others = rows.iter().filter(|row| row.get("owner").and_then(Value::as_str) != Some(&member.id));
        others.map(|row| text(row, "/id")).collect()
    }

    /// Adds a member past the operator.
    pub async fn add_member(&self, owner: &Project, image: &str, member: &str) -> Result<()> {
        let path = format!("/{image}/members");
        let reply = self.image_call(owner, Method::POST, &path, Some(&json!({"member": member}))).await?;
        reply.expect("adding a member", &[200]).map(drop)
    }

    /// Removes one row of a member past the operator.
    pub async fn remove_member(&self, owner: &Project, image: &str, member: &str) -> Result<()> {
        let reply = self.image_call(owner, Method::DELETE, &format!("/{image}/members/{member}"), None).await?;
        reply.expect("removing a member", &[204]).map(drop)
    }

    /// Adds a second row of a member with its status, as two requests at once do. No single request can.
    pub async fn double_member(&self, image: &str, member: &str) -> Result<()> {
        let script = "import sqlite3, sys\n\
                      base = sqlite3.connect(sys.argv[1], timeout=30)\n\
                      done = base.execute('INSERT INTO image_members (image_id, member, can_share, created_at, updated_at, \
                      deleted, status) SELECT image_id, member, can_share, created_at, updated_at, deleted, status FROM \
                      image_members WHERE image_id = ? AND member = ? AND NOT deleted', sys.argv[2:4])\n\
                      assert done.rowcount == 1, done.rowcount\n\
                      base.commit()\n";
        let mut python = std::process::Command::new(built()?.join("venv/bin/python"));
        python.args(["-c", script]).arg(self.folder.join("glance.db")).args([image, member]);
        let output = tokio::task::spawn_blocking(move || python.output()).await?.context("starting python")?;
        ensure!(output.status.success(), "doubling a member: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Answers an offer past the operator: `pending`, `accepted` or `rejected`.
    pub async fn answer(&self, member: &Project, image: &str, status: &str) -> Result<()> {
        let path = format!("/{image}/members/{}", member.id);
        let reply = self.image_call(member, Method::PUT, &path, Some(&json!({"status": status}))).await?;
        reply.expect("answering", &[200]).map(drop)
    }

    /// Changes one field of an image past the operator, as `visibility` or `protected`.
    pub async fn change_image(&self, owner: &Project, image: &str, field: &str, value: Value) -> Result<()> {
        let change = json!([{"op": "replace", "path": format!("/{field}"), "value": value}]);
        let url = format!("{}/v2/images/{image}", self.image_url);
        let (token, body) = (self.token_of(owner).await?, Some((PATCH, change.to_string().into_bytes())));
        self.call(Method::PATCH, &url, Some(&token), body).await?.expect("changing an image", &[200]).map(drop)
    }

    /// Deletes an image past the operator.
    pub async fn delete_image(&self, owner: &Project, image: &str) -> Result<()> {
        let reply = self.image_call(owner, Method::DELETE, &format!("/{image}"), None).await?;
        reply.expect("deleting an image", &[204]).map(drop)
    }

    async fn image_call(&self, project: &Project, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let url = format!("{}/v2/images{path}", self.image_url);
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        let token = self.token_of(project).await?;
        self.call(method, &url, Some(&token), body).await
    }
}
