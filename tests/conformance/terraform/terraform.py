"""Runs OpenTofu or Terraform with an unmodified provider, whose calls for the vendor's hosts are led to the simulator, and tells
what became of each step, as life.py reads it.

The environment names TERRAFORM (the program), PROVIDERS (the folder of the providers), SIMULATOR_TLS (the address where the
simulator stands in for the vendors' hosts) and SIMULATOR_CERTIFICATE (the file of the certificate to trust).
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from checks import same  # noqa: E402


class Terraform:
    """A configuration in a folder of its own, applied with one set of variables after the other."""

    def __init__(self, configuration, source):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="conformance-"))
        shutil.copy(HERE / configuration, self.folder / "main.tf")
        overrides = f'provider_installation {{ dev_overrides {{ "{source}" = "{os.environ["PROVIDERS"]}" }} }}'
        (self.folder / "cli.tfrc").write_text(overrides)
        tls = f"http://{os.environ['SIMULATOR_TLS']}"
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.environment = {
            **kept, "TF_CLI_ARGS": "-no-color", "TF_CLI_CONFIG_FILE": str(self.folder / "cli.tfrc"), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1",
            "HTTPS_PROXY": tls, "https_proxy": tls, "SSL_CERT_FILE": os.environ["SIMULATOR_CERTIFICATE"],
        }  # fmt: skip
        self.variables = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def run(self, *arguments):
        command = [os.environ["TERRAFORM"], *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr} {done.stdout}")
        return done.stdout

    def apply(self, **variables):
        """Applies the variables so far and these, after which there is nothing more to do."""
        self.variables.update(variables)
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(self.variables))
        self.run("apply", "-auto-approve", "-input=false")
        self.plan_is_empty()

    def plan_is_empty(self):
        self.run("plan", "-detailed-exitcode", "-input=false")

    def adopt(self, address, id):
        """Forgets a resource and imports it again. What the provider knows of it only by its configuration is applied once more;
        after that there is nothing to do."""
        self.run("state", "rm", address)
        self.run("import", "-input=false", address, id)
        self.apply()

    def output(self, name):
        return json.loads(self.run("output", "-json"))[name]["value"]

    def destroy(self):
        self.run("destroy", "-auto-approve", "-input=false")
        same("what is left", self.run("state", "list").strip(), "")


def live(client, steps):
    """Takes the steps: pairs of a name and what to do."""
    print(f"client: {client}", flush=True)
    for name, step in steps:
        told = "ok"
        try:
            step()
        except Exception as error:  # whatever goes wrong is told
            told = " ".join(str(error).split())
        print(f"{name}: {told}", flush=True)
