//! The command line: every command, argument and example.

#![allow(clippy::doc_markdown, reason = "clap prints these comments as they are")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::plan::PlanFormat;

/// Answer questions about shared images, and answer offers, with your kubeconfig.
///
/// Every command uses the kubeconfig, context and rights that kubectl uses. None reads a Secret, and only accept and reject
/// write, and the console, which asks. An answer that lacks a part, because you may not read it, says so and exits with status 1.
#[derive(Debug, Parser)]
#[command(name = "kubectl-imageshare", bin_name = "kubectl imageshare", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXAMPLES: &str = "Examples:
  kubectl imageshare plan -f golden-images/
  kubectl imageshare who-has golden-ubuntu
  kubectl imageshare who-has --account 1000000000000001
  kubectl imageshare why imageshare/app-teams -n golden-images
  kubectl imageshare offers
  kubectl imageshare accept d164b5df-1bc3-4c3f-893e-3e471fd16e64 -n huawei-partners

Each command has its own --help.";

/// Which cluster, as whom, and in which namespace.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The kubeconfig; by default those of the variable KUBECONFIG, or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; by default its current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// The namespace; by default the context's.
    #[arg(long, short, global = true, value_name = "NAME")]
    pub(super) namespace: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Plan(Plan),
    WhoHas(WhoHas),
    Why(Why),
    Offers(Offers),
    Accept(Accept),
    Reject(Reject),
    Console(Console),
    /// Print the completion script of a shell.
    ///
    /// It completes the program's own name, kubectl-imageshare, which is kubectl imageshare.
    #[command(after_help = "Examples:
  source <(kubectl-imageshare completion bash)
  kubectl imageshare completion fish >~/.config/fish/completions/kubectl-imageshare.fish")]
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns for people.
    Table,
    /// One JSON document, for programs.
    Json,
    /// The same as YAML.
    Yaml,
}

/// Which namespaces are searched.
#[derive(Debug, Args)]
pub(super) struct Search {
    /// Search all namespaces, and fail where you may not. Without this and -n: all namespaces, or the context's alone where
    /// you may not read all.
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    pub(super) all_namespaces: bool,
    /// The format.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
}

/// Show what a set of files would share, and what of it would be refused.
///
/// Without --live it needs no cluster: it judges shape and rules as the API server does, references, duplicates, consent, kinds
/// of recipients, sites and limits, and then asks the operator's own planner for an image that has no recipients yet. Objects
/// that name no namespace are in that of -n, or in default.
///
/// With --live the API server judges each object by a dry run, and the operator's planner decides over the ledgers and all
/// ImageShares of the cluster: who gets and who loses an image, slots, calls. It writes nothing.
///
/// Documents of other groups are counted, not judged. Exit status: 0 nothing would change, 2 something would, 1 something would
/// be refused, or the plan lacks a part.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl imageshare plan -f golden-images/ -R
  kubectl imageshare plan -f golden-images/ -R --live
  kubectl imageshare plan -f after/ --base before/ --live -o markdown
  kubectl imageshare plan --base golden-images/team.yaml --live
  kubectl imageshare plan -f account.yaml -f share.yaml --strict
  kubectl kustomize overlays/production | kubectl imageshare plan -f - -o markdown")]
pub(super) struct Plan {
    /// A file, a folder with files that end in .yaml, .yml or .json, or - for standard input. It can be given several times.
    #[arg(long, short, required_unless_present = "base", value_name = "FILE")]
    pub(super) filename: Vec<PathBuf>,
    /// Plan against the cluster of the kubeconfig.
    #[arg(long)]
    pub(super) live: bool,
    /// With --live: a file or folder of before. What it holds and those of -f do not is deleted, as a GitOps tool prunes it.
    #[arg(long, requires = "live", value_name = "FILE")]
    pub(super) base: Vec<PathBuf>,
    /// Search folders in folders too.
    #[arg(long, short = 'R')]
    pub(super) recursive: bool,
    /// Without --live: refuse what the set does not tell: a reference to an object that is not in it, or the labels of a
    /// namespace.
    #[arg(long, conflicts_with = "live")]
    pub(super) strict: bool,
    /// The format.
    #[arg(long, short, value_enum, default_value_t = PlanFormat::Text)]
    pub(super) output: PlanFormat,
}

/// Show who has an image, or which images an account has.
///
/// It reads the ledgers of all CloudImages that you may read, and the ImageShares for names and expiry. Recipients that no
/// ImageShare names are shown as Unmanaged. Exit status: 0 somebody has it, 3 nobody, 1 the answer lacks a part.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl imageshare who-has golden-ubuntu
  kubectl imageshare who-has golden-images/golden-ubuntu
  kubectl imageshare who-has m-bp1goldenubuntu2404 -o json
  kubectl imageshare who-has --account 1000000000000001")]
#[group(id = "asked", required = true, multiple = false, args = ["image", "account"])]
pub(super) struct WhoHas {
    /// A CloudImage as NAME or NAMESPACE/NAME, or the id of the image at the cloud.
    #[arg(value_name = "IMAGE")]
    pub(super) image: Option<String>,
    /// The id of an account, project or organization: show what it has.
    #[arg(long, value_name = "ID")]
    pub(super) account: Option<String>,
    #[command(flatten)]
    pub(super) search: Search,
}

/// Explain why an object is not ready, or why it is.
///
/// It follows the chain from the Secret's name over CloudAccount and CloudImage to the ImageShare and its recipients, or to
/// the SharedImageAcceptance or ImageReplica, and names the first broken link, its message, and what to do. Exit status: 0 no
/// link is broken, 2 one is broken or waits, 1 the answer lacks a part.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl imageshare why imageshare/app-teams -n golden-images
  kubectl imageshare why cli/golden-ubuntu
  kubectl imageshare why irep/golden-copy -o json")]
pub(super) struct Why {
    /// The object, as KIND/NAME; KIND as kubectl takes it: imageshare, imageshares, ish, ...
    #[arg(value_name = "KIND/NAME")]
    pub(super) object: String,
    /// The format.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    pub(super) output: Format,
}

/// List the images that others offer to accounts of yours.
///
/// It reads the SharedImages that the operator keeps for CloudAccounts with `spec.inventory`. Exit status: 0, or 1 the answer
/// lacks a part.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl imageshare offers
  kubectl imageshare offers -n huawei-partners --all")]
pub(super) struct Offers {
    /// Also those that were answered, or need no answer.
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) search: Search,
}

/// Which offer is answered, and how sure you are.
#[derive(Debug, Args)]
pub(super) struct Answering {
    /// The offer: the id of the image at the cloud, or the name of its SharedImage.
    #[arg(value_name = "OFFER")]
    pub(super) offer: String,
    /// The owner whom you trust: the offer must be this owner's. Without it, the owner is shown and you are asked.
    #[arg(long, value_name = "ID")]
    pub(super) owner: Option<String>,
    /// The CloudAccount that received the offer, where several did.
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
    /// The region of the offer, where the image is offered in several.
    #[arg(long, value_name = "ID")]
    pub(super) region: Option<String>,
    /// The name of the SharedImageAcceptance to create; by default that of the SharedImage.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Print the SharedImageAcceptance as YAML, and create nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Accept an offered image: create a SharedImageAcceptance.
///
/// An image of another party runs that party's code: the owner's id is shown, and confirmed by --owner or at a prompt.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl imageshare accept d164b5df-1bc3-4c3f-893e-3e471fd16e64 -n huawei-partners
  kubectl imageshare accept d164b5df-1bc3-4c3f-893e-3e471fd16e64 --owner a0000000000000000000000000000001 --dry-run")]
pub(super) struct Accept {
    #[command(flatten)]
    pub(super) answering: Answering,
    /// Huawei Cloud: the backup vault that a full-server image is accepted into.
    #[arg(long, value_name = "ID")]
    pub(super) vault: Option<String>,
}

/// Reject an offered image: create a SharedImageAcceptance that rejects it.
///
/// Rejecting hides the image from lists; it does not take away the access that the owner gave.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl imageshare reject d164b5df-1bc3-4c3f-893e-3e471fd16e64 -n huawei-partners")]
pub(super) struct Reject {
    #[command(flatten)]
    pub(super) answering: Answering,
}

/// Open a console in the browser: offers, images, channels, deletions that wait.
///
/// It serves pages on 127.0.0.1 with your kubeconfig's rights, and prints the address that opens them once. Nothing is loaded
/// from elsewhere, and no script runs. The only writes are answers to offers, each shown as YAML before it is created.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl imageshare console
  kubectl imageshare console -n huawei-partners --port 8484")]
pub(super) struct Console {
    /// Show all namespaces, and name what you may not read. Without this and -n: all namespaces, or the context's alone where
    /// you may not read all.
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    pub(super) all_namespaces: bool,
    /// The port; by default a free one.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(super) port: u16,
}
