"""kubectl side by side: with a kubeconfig of any kind podsnap connects when kubectl does, and says
why when it does not."""

import base64
import copy
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from lib.connect_proxy import ConnectProxy
from lib.podsnap import clean_environment
from lib.pods import CapturePod, module_namespace
from lib.wait import wait_until

SERVER = "https://10.96.0.1"
# A way to the API server that its certificate does not name.
UNNAMED = "https://127.0.0.2"
V1, V1BETA1 = (f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1"))
# In every secret that a test makes up, so that none of them may be read in what podsnap says.
SECRET = "hunter2"
PLUGIN = """#!/bin/sh
cd "$(dirname "$0")"
echo run >>runs
printf %s "$KUBERNETES_EXEC_INFO" >info
"""


class World:
    """A pod, those who may look at it, and what a kubeconfig of theirs is made of."""

    def __init__(self, cluster, podsnap, namespace, directory):
        self.cluster, self.podsnap = cluster, podsnap
        self.namespace, self.dir = namespace, str(directory)
        self.pod = CapturePod(cluster, namespace, "target", "deadlock")
        self.ca = os.path.join(cluster.state, "pki", "ca.crt")
        self.token = self.account("looker", [("", "pods", "get"), ("", "pods/exec", "get create")])

    def account(self, name, rules):
        """A token of a new service account with these rights."""
        api = "rbac.authorization.k8s.io"
        meta = {"name": name, "namespace": self.namespace}
        self.cluster.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {"apiVersion": api + "/v1", "kind": "Role", "metadata": meta,
             "rules": [{"apiGroups": [group], "resources": [resource], "verbs": verbs.split()}
                       for group, resource, verbs in rules]},
            {"apiVersion": api + "/v1", "kind": "RoleBinding", "metadata": meta,
             "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
             "subjects": [{"kind": "ServiceAccount", "name": name}]})
        return self.cluster.kubectl("create", "token", name, "-n", self.namespace).strip()

    # --- files

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text if isinstance(text, str) else json.dumps(text))
        os.chmod(path, mode)
        return path

    def read(self, name):
        with open(os.path.join(self.dir, name), encoding="utf-8") as file:
            return file.read()

    def key_pair(self, name, inline=False):
        """A user's entry with the certificate that the cluster made for it."""
        pki = os.path.join(self.cluster.state, "pki", name)
        if not inline:
            return {"client-certificate": pki + ".crt", "client-key": pki + ".key"}
        def data(path):
            with open(path, "rb") as file:
                return base64.b64encode(file.read()).decode()
        return {"client-certificate-data": data(pki + ".crt"),
                "client-key-data": data(pki + ".key")}

    def config(self, user, **cluster):
        """A kubeconfig's content: this user, and the cluster with these fields set or (None) gone."""
        fields = {"server": SERVER, "certificate-authority": self.ca}
        fields.update({key.replace("_", "-"): value for key, value in cluster.items()})
        return {"current-context": "x",
                "contexts": [{"name": "x", "context": {
                    "cluster": "c", "user": "u", "namespace": self.namespace}}],
                "clusters": [{"name": "c", "cluster": {
                    key: value for key, value in fields.items() if value is not None}}],
                "users": [{"name": "u", "user": user}]}

    def plugin(self, text, version=V1, **fields):
        """A user's entry with a plugin, whose script ends with this text."""
        self.write("plugin", PLUGIN + text, 0o755)
        self.write("runs", "")
        return {"exec": {"apiVersion": version, "interactiveMode": "Never",
                         "command": "./plugin", **fields}}

    def answer(self, version=V1, **status):
        """The text of a script that prints a credential."""
        self.write("answer", {"apiVersion": version, "kind": "ExecCredential", "status": status})
        return "cat answer\n"

    def runs(self):
        return self.read("runs").count("run")

    # --- the two programs

    def prefix(self, env):
        """A command that runs another in the cluster's network with this environment alone."""
        return [*self.cluster.prefix, "env", "-u", "KUBECONFIG", "-u", "KUBECTL",
                *(f"{name}={value}" for name, value in env.items())]

    def kubectl(self, *args, env=None, stdin=subprocess.DEVNULL):
        """Status and stderr of kubectl exec."""
        done = subprocess.run(
            [*self.prefix(env or {}), "kubectl", *args, "exec", "target", "-n", self.namespace,
             "--", "true"], stdin=stdin, capture_output=True, text=True, timeout=120, check=False,
            env=clean_environment(self.podsnap.home))
        print(f"kubectl: status {done.returncode}\n{done.stderr}")
        return done

    def ps(self, *args, env=None, **options):
        return self.podsnap.inside(self.prefix(env or {})).run(
            "ps", "pod/target", "-n", self.namespace, *args, expect=None, **options)

    def compare(self, *args, env=None, causes=None):
        """Both succeed; or, with causes, both fail, and podsnap names them."""
        theirs, ours = self.kubectl(*args, env=env), self.ps(*args, env=env)
        assert (theirs.returncode == 0) == (causes is None), "kubectl"
        if causes is None:
            assert ours.status == 0 and "/targets/deadlock" in ours.text, ours
        else:
            assert_explained(ours, causes)
        return ours


def assert_explained(result, causes):
    """One error that names these causes (regular expressions), a next step, and no secret."""
    said = result.stderr
    assert result.status in (1, 2) and result.stdout == b"", result
    assert len(re.findall(r"^podsnap: error: ", said, re.M)) == 1, said
    for cause in causes:
        assert re.search(cause, said), f"no {cause!r} in: {said}"
    error = said[said.index("podsnap: error: "):]
    assert len(error.strip().splitlines()) > 1, f"no next step: {error}"
    assert SECRET not in error, error


@pytest.fixture(scope="module", name="credentials_namespace")
def fixture_credentials_namespace(cluster):
    yield from module_namespace(cluster)


@pytest.fixture(scope="module", name="whole_world")
def fixture_whole_world(cluster, podsnap_session, credentials_namespace, tmp_path_factory):
    made = World(cluster, podsnap_session, credentials_namespace,
                 tmp_path_factory.mktemp("world"))
    # The rights of a new account are known a moment later.
    path = made.write("first", made.config({"token": made.token}))
    wait_until(lambda: made.kubectl("--kubeconfig", path).returncode == 0, "right to exec",
               interval=0.2)
    return made


@pytest.fixture(name="world")
def fixture_world(whole_world, tmp_path):
    """The same, with a directory of the test's own."""
    mine = copy.copy(whole_world)
    mine.dir = str(tmp_path)
    return mine


@pytest.fixture(name="proxy")
def fixture_proxy(cluster, tmp_path):
    server = ConnectProxy(tmp_path, cluster.prefix)
    yield server
    server.stop()


# --- kubeconfigs of all kinds --------------------------------------------------------------------

# name: (function of a world that returns a kubeconfig's content, causes of its failure or None)
KINDS = {
    "certificate": (lambda w: w.config(w.key_pair("admin")), None),
    "certificate inline": (lambda w: w.config(w.key_pair("admin", inline=True)), None),
    "token": (lambda w: w.config({"token": w.token}), None),
    "token file": (lambda w: w.write("t", w.token + "\n") and w.config({"tokenFile": "t"}), None),
    "wrong token": (lambda w: w.config({"token": SECRET}),
                    ['does not accept the credentials of context "x"', "renew the credentials"]),
    # This server knows no passwords; what stands in front of another may.
    "password": (lambda w: w.config({"username": "joe", "password": SECRET}),
                 ["system:anonymous"]),
    "nobody": (lambda w: w.config({}), ["asks for credentials, and context \"x\" .* has none|"
                                        "system:anonymous"]),
    "no token file": (lambda w: w.config({"tokenFile": "nosuch"}),
                      ['tokenFile of "u"', "nosuch: No such file"]),
    "expired certificate": (lambda w: w.cluster.user("late", "system:masters", -1) and
                            w.config(w.key_pair("late")),
                            [r'certificate of user "u" .* expired at 20\d\d-']),
    "key of another": (lambda w: w.config({
        **w.key_pair("admin"), "client-key": w.key_pair("kubelet")["client-key"]}),
                       ['client key of user "u" .* is not that of its certificate']),
    "foreign certificate": (lambda w: foreign_certificate(w),
                            ["does not accept the credentials", 'context "x"']),
    "old auth-provider": (lambda w: w.config({"auth-provider": {"name": "gcp"}}),
                          [r"auth-provider \(gcp\)", "gke-gcloud-auth-plugin"]),
    "wrong authority": (lambda w: w.config({"token": w.token},
                                           certificate_authority=foreign_authority(w)),
                        ["certificate problem", 'certificate-authority of context "x"']),
    "authority that is none": (lambda w: w.config(
        {"token": w.token}, certificate_authority=w.write("ca", "no PEM")), ["certificate"]),
    "insecure": (lambda w: w.config({"token": w.token}, certificate_authority=None,
                                    insecure_skip_tls_verify=True), None),
    "name the certificate lacks": (lambda w: w.config({"token": w.token}, server=UNNAMED),
                                   ["127.0.0.2", "--tls-server-name"]),
    "tls-server-name": (lambda w: w.config({"token": w.token}, server=UNNAMED,
                                           tls_server_name="kubernetes.default.svc"), None),
    "wrong tls-server-name": (lambda w: w.config({"token": w.token}, tls_server_name="other"),
                              ["other", "--tls-server-name"]),
    "nothing there": (lambda w: w.config({"token": w.token}, server="https://127.0.0.1:9"),
                      ["127.0.0.1 port 9", "refused|Couldn't connect"]),
    "no such user": (lambda w: {**w.config({}), "users": []}, ['no user "u"']),
    "impersonation": (lambda w: w.config({
        **w.key_pair("admin"), "as": f"system:serviceaccount:{w.namespace}:looker"}), None),
    "impersonated group": (lambda w: w.config({
        **w.key_pair("admin"), "as": "jane", "as-uid": "7", "as-groups": ["system:masters"],
        "as-user-extra": {"acme.io/scope x": ["a", "b"]}}), None),
    "impersonation of one with no rights": (lambda w: w.config({
        **w.key_pair("admin"), "as": "jane"}),
        ['User "jane" cannot get resource "pods"', 'resources: .*"pods"']),
    "impersonation without the right to": (lambda w: w.config({"token": w.token, "as": "jane"}),
                                           ['cannot impersonate resource "users"',
                                            'resources: .*"users"', 'verbs: .*"impersonate"']),
    "aliases and a merge key": (lambda w: aliased(w.config({"token": w.token})), None),
    "alias of nothing": (lambda w: "users: *nobody\n", [":1: an alias without its anchor"]),
    "plugin with a token": (lambda w: w.config(w.plugin(w.answer(token=w.token))), None),
    "plugin with a certificate, v1beta1": (lambda w: w.config(w.plugin(
        w.answer(V1BETA1, **pem_pair(w, "admin")), V1BETA1)), None),
    "plugin with arguments and environment": (lambda w: w.config(w.plugin(
        w.answer(token=w.token) + "[ \"$1$A\" = 'x yz' ] && [ ! -t 0 ]\n", args=["x y"],
        env=[{"name": "A", "value": "z"}])), None),
    "plugin whose token is refused": (lambda w: w.config(w.plugin(w.answer(token=SECRET))),
                                      ["does not accept the credentials"]),
    "plugin that fails": (lambda w: w.config(w.plugin(
        "echo 'its own words' >&2; exit 3\n", args=[SECRET], installHint="get it at acme.io")),
        ["its own words", r'plugin "\S+/plugin" of user "u"', "exit status 3",
         "get it at acme.io", "--token"]),
    "plugin that is not installed": (lambda w: w.config(w.plugin(
        "", command="no-such-plugin", installHint="get it at acme.io")),
        ['plugin "no-such-plugin" of user "u"', "no such program in PATH", "get it at acme.io"]),
    "plugin that prints rubbish": (lambda w: w.config(w.plugin(f"echo {SECRET}\n")),
                                   ["no ExecCredential"]),
    "plugin that prints nothing": (lambda w: w.config(w.plugin("")), ["no ExecCredential"]),
    "plugin of another version": (lambda w: w.config(w.plugin(w.answer(V1BETA1, token=SECRET))),
                                  [f"asks for {V1}, and it answered with {V1BETA1}"]),
    "plugin that has to ask": (lambda w: w.config(w.plugin(
        w.answer(token=w.token), interactiveMode="Always")),
        ["has to ask the user", "no terminal", "from a terminal"]),
    "plugin without a mode": (lambda w: w.config(w.plugin("", interactiveMode=None)),
                              ["no interactiveMode"]),
}


def aliased(config):
    """The same as YAML in which the parts stand elsewhere."""
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = cluster.pop("certificate-authority")
    return (f"preferences: {{base: &base {json.dumps(cluster)}, user: &user {json.dumps(user)}}}\n"
            f"current-context: &name {config['current-context']}\n"
            f"contexts:\n- name: *name\n  context: {json.dumps(config['contexts'][0]['context'])}\n"
            f"clusters:\n- name: c\n  cluster:\n    <<: *base\n"
            f"    certificate-authority: {authority}\n"
            "users: [{name: u, user: *user}]\n")


def pem_pair(world, name):
    """clientCertificateData and clientKeyData of a plugin's answer."""
    made = {}
    for key, path in world.key_pair(name).items():
        with open(path, encoding="utf-8") as pem:
            made["clientKeyData" if "key" in key else "clientCertificateData"] = pem.read()
    return made


def foreign_authority(world):
    """A CA that has nothing to do with the cluster; its key is beside it."""
    path = os.path.join(world.dir, "foreign")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/O=system:masters/CN=x",
                    "-keyout", path + ".key", "-out", path + ".crt"],
                   capture_output=True, check=True, timeout=30)
    return path + ".crt"


def foreign_certificate(world):
    certificate = foreign_authority(world)
    return world.config({"client-certificate": certificate,
                         "client-key": certificate.replace(".crt", ".key")})


@pytest.mark.parametrize("kind", KINDS)
def test_connects_when_kubectl_does(world, kind):
    make, causes = KINDS[kind]
    world.compare("--kubeconfig", world.write("config", make(world)), causes=causes)


# --- options and several files -------------------------------------------------------------------

def test_first_of_merged_files_wins(world):
    """Each named item and the current context are the first file's that has them; paths are
    relative to their own file."""
    config = world.config({"tokenFile": "token"})
    world.write("a/token", SECRET)
    world.write("b/token", world.token)
    files = [world.write("a/one", {"contexts": config["contexts"]}),
             os.path.join(world.dir, "nosuch"),
             world.write("b/two", {"current-context": "x", "users": config["users"]}),
             world.write("a/three", {**config, "current-context": "nosuch"})]
    world.compare(env={"KUBECONFIG": ":".join(files)})
    world.compare(env={"KUBECONFIG": ":".join(reversed(files))}, causes=['no context "nosuch"'])
    world.compare("--context", "x", env={"KUBECONFIG": ":".join(reversed(files))},
                  causes=["does not accept the credentials"])


def test_options_come_before_the_file(world):
    path = world.write("config", world.config({"token": SECRET}, server="https://127.0.0.1:9",
                                              certificate_authority=None, tls_server_name="other"))
    good = ["--kubeconfig", path, "--server", SERVER, "--token", world.token]
    world.compare(*good, "--certificate-authority", world.ca)
    world.compare(*good, "--insecure-skip-tls-verify")
    world.compare(*good, causes=["certificate problem", "--certificate-authority"])
    pair = world.key_pair("admin")
    path = world.write("config", world.config({}, server=UNNAMED))
    trusted = ["--kubeconfig", path, "--tls-server-name", "localhost"]
    certificate = ["--client-certificate", pair["client-certificate"],
                   "--client-key", pair["client-key"]]
    world.compare(*trusted, *certificate)
    world.compare(*trusted, *certificate, "--as", "jane", causes=['User "jane" cannot get'])
    world.compare(*trusted, *certificate, "--as", "jane", "--as-uid", "9",
                  "--as-group", "dev", "--as-group", "system:masters",
                  "--as-user-extra", "acme.io/a=b", "--as-user-extra", "acme.io/a=c")
    world.compare(*trusted, *certificate, "--as-group", "system:masters",
                  causes=["but no user", "--as"])


def test_plain_http(world, cluster):
    """To `kubectl proxy`, which adds its own credentials. That ours do not go there is for
    tests/unit/exec/test_kubeconfig.c: this proxy takes them away."""
    server = subprocess.Popen(
        [*cluster.prefix, "kubectl", "proxy", "--port=0", "--reject-paths=^$"],
        stdout=subprocess.PIPE, text=True)
    try:
        port = re.search(r":(\d+)$", server.stdout.readline().strip())[1]
        path = world.write("config", world.config({"token": SECRET},
                                                  server=f"http://127.0.0.1:{port}"))
        world.compare("--kubeconfig", path)
    finally:
        server.kill()
        server.communicate()


# --- proxies -------------------------------------------------------------------------------------

def used(world, proxy, run):
    """Whether a run went through the proxy, all of it or nothing, and only to the API server."""
    before = len(proxy.asked())
    run()
    asked = proxy.asked()[before:]
    assert set(asked) <= {"10.96.0.1:443"}, asked
    return len(asked)


def test_proxy_url(world, proxy):
    """Requests and the exec stream go through it, whatever NO_PROXY says."""
    path = world.write("config", world.config({"token": world.token},
                                              proxy_url="http://" + proxy.address))
    env = {"NO_PROXY": "*"}
    assert used(world, proxy, lambda: world.kubectl("--kubeconfig", path, env=env)) > 0
    assert used(world, proxy, lambda: world.compare("--kubeconfig", path, env=env)) >= 2
    # podsnap's share: one connection for requests, one for exec.
    assert used(world, proxy, lambda: world.ps("--kubeconfig", path, env=env)) == 2


def test_proxy_that_fails(world, cluster, tmp_path):
    with_login = ConnectProxy(tmp_path, cluster.prefix, login="joe:" + SECRET)
    try:
        for proxy, causes in [
                (f"http://joe:{SECRET}@{with_login.address}", None),
                (f"http://joe:{SECRET}wrong@{with_login.address}", ["407", "proxy"]),
                ("http://127.0.0.1:9", ["127.0.0.1 port 9", "proxy of proxy-url"]),
                ("http://no-such-proxy.invalid", ["no-such-proxy.invalid", "proxy"]),
                (f"ftp://joe:{SECRET}@h", ["proxy-url is no URL", "socks5://"])]:
            path = world.write("config", world.config({"token": world.token}, proxy_url=proxy))
            world.compare("--kubeconfig", path, causes=causes)
    finally:
        with_login.stop()


@pytest.mark.parametrize("variable, no_proxy, through", [
    ("HTTPS_PROXY", "", True),
    ("https_proxy", "", True),
    ("HTTP_PROXY", "", False),
    ("ALL_PROXY", "", False),
    ("HTTPS_PROXY", "10.96.0.1", False),
    ("HTTPS_PROXY", "10.96.0.1:443", False),
    ("HTTPS_PROXY", "10.96.0.1:6443", True),
    ("HTTPS_PROXY", "10.0.0.0/8,example.com", False),
    ("HTTPS_PROXY", "example.com, 10.96.0.0/16", False),
    ("HTTPS_PROXY", "10.97.0.0/16", True),
    ("HTTPS_PROXY", "0.1", True),
    ("HTTPS_PROXY", "*", False),
])
def test_proxy_of_the_environment(world, proxy, variable, no_proxy, through):
    path = world.write("config", world.config({"token": world.token}))
    env = {variable: proxy.address, "NO_PROXY": no_proxy}
    assert (used(world, proxy, lambda: world.kubectl("--kubeconfig", path, env=env)) > 0) == through
    times = used(world, proxy, lambda: world.compare("--kubeconfig", path, env=env))
    assert (times > 0) == through
    assert used(world, proxy, lambda: world.ps("--kubeconfig", path, env=env)) == 2 * through


def test_loopback_does_not_go_through_the_environment_s_proxy(world, proxy):
    path = world.write("config", world.config({"token": world.token}, server="https://localhost"))
    env = {"HTTPS_PROXY": proxy.address}
    assert used(world, proxy, lambda: world.compare("--kubeconfig", path, env=env)) == 0


def test_tls_server_name_through_a_proxy(world, proxy):
    path = world.write("config", world.config(
        {"token": world.token}, tls_server_name="kubernetes.default.svc",
        proxy_url="http://" + proxy.address))
    assert used(world, proxy, lambda: world.compare("--kubeconfig", path)) > 0


# --- credentials that change ---------------------------------------------------------------------

def test_token_file_is_rotated_between_runs(world):
    path = world.write("config", world.config({"tokenFile": "token"}))
    world.write("token", world.token)
    world.compare("--kubeconfig", path)
    world.write("token", SECRET)
    world.compare("--kubeconfig", path, causes=["does not accept the credentials"])
    world.write("token", world.account("looker", [("", "pods", "get"),
                                                  ("", "pods/exec", "get create")]))
    world.compare("--kubeconfig", path)


@pytest.fixture(scope="module", name="halves")
def fixture_halves(whole_world):
    """Tokens of two that only together can do what podsnap does: get pods, and exec."""
    made = []
    for name, rule in [("getter", ("", "pods", "get")), ("runner", ("", "pods/exec", "create"))]:
        made.append(whole_world.account(name, [rule, ("", "pods/exec", "get")]))
        user = f"system:serviceaccount:{whole_world.namespace}:{name}"
        await_right(whole_world, user, *rule[:0:-1])
    return made


def await_right(world, user, verb, resource):
    name, _, sub = resource.partition("/")
    wait_until(lambda: world.cluster.kubectl(
        "auth", "can-i", verb, name, *(["--subresource", sub] if sub else []), "--as", user,
        "-n", world.namespace, expect=None).strip() == "yes", f"right to {verb} {resource}",
               interval=0.1)


def test_token_file_is_rotated_during_a_run(world, cluster, halves):
    """The proxy replaces the token that podsnap began with."""
    world.write("token", halves[0])
    world.write("next", halves[1])
    proxy = ConnectProxy(world.dir, cluster.prefix,
                         first=f"mv {world.dir}/next {world.dir}/token")
    path = world.write("config", world.config({"tokenFile": "token"},
                                              proxy_url="http://" + proxy.address))
    try:
        assert "/targets/deadlock" in world.ps("--kubeconfig", path).text
        assert_explained(world.ps("--kubeconfig", path), ['runner" cannot get', "pods"])
        world.write("token", halves[0])
        assert_explained(world.ps("--kubeconfig", path), ['pods "target" is forbidden', "pods/exec"])
    finally:
        proxy.stop()


def test_plugin_is_run_again_when_its_credential_has_expired(world, halves):
    """Which it has at once."""
    world.write("answers", "".join(json.dumps({
        "apiVersion": V1, "kind": "ExecCredential",
        "status": {"token": token, "expirationTimestamp": "2020-01-01T00:00:00Z"}}) + "\n"
                                   for token in halves))
    path = world.write("config", world.config(world.plugin(
        "sed -n \"$(wc -l <runs)p\" answers\n")))
    assert "/targets/deadlock" in world.ps("--kubeconfig", path).text
    assert world.runs() == 2


def test_plugin_is_run_once(world):
    path = world.write("config", world.config(world.plugin(world.answer(token=world.token))))
    assert world.ps("--kubeconfig", path).status == 0
    assert world.runs() == 1


def test_plugin_is_run_again_when_its_token_is_refused(world):
    """kubectl fails here once, and works the next time."""
    world.write("first", world.answer(token=SECRET) and world.read("answer"))
    path = world.write("config", world.config(world.plugin(
        "[ $(wc -l <runs) -gt 1 ] || { cat first; exit; }\n" + world.answer(token=world.token))))
    result = world.ps("--kubeconfig", path)
    assert result.status == 0 and world.runs() == 2
    assert SECRET not in result.stderr


def test_plugin_learns_what_kubectl_tells_it(world, proxy):
    """KUBERNETES_EXEC_INFO is the same document."""
    config = world.config(
        world.plugin(world.answer(token=world.token), provideClusterInfo=True),
        tls_server_name="kubernetes.default.svc", proxy_url="http://" + proxy.address,
        extensions=[{"name": "client.authentication.k8s.io/exec",
                     "extension": {"audience": "abc", "n": 7, "deep": [{"t": True, "s": "8"}]}}])
    path = world.write("config", config)
    assert world.kubectl("--kubeconfig", path).returncode == 0
    theirs = json.loads(world.read("info"))
    world.write("info", "")
    assert world.ps("--kubeconfig", path).status == 0
    assert json.loads(world.read("info")) == theirs
    assert theirs["spec"]["cluster"]["config"]["n"] == 7


# --- plugins that ask, hang, and are interrupted -------------------------------------------------

ASKING = """printf 'password: ' >&2
read answer && [ "$answer" = hunter2 ] || exit 9
"""


@pytest.mark.parametrize("mode, works", [("IfAvailable", True), ("Always", True),
                                         ("Never", False)])
def test_plugin_asks_on_the_terminal(world, mode, works):
    path = world.write("config", world.config(world.plugin(
        ASKING + world.answer(token=world.token), interactiveMode=mode)))
    for program in ("kubectl", "podsnap"):
        terminal, their_end = pty.openpty()
        os.write(terminal, (SECRET + "\n").encode())
        if program == "kubectl":
            assert (world.kubectl("--kubeconfig", path, stdin=their_end).returncode == 0) == works
        else:
            process = world.podsnap.inside(world.prefix({})).start(
                "ps", "pod/target", "-n", world.namespace, "--kubeconfig", path, stdin=their_end)
            out, errors = process.communicate(timeout=60)
            assert (process.returncode == 0) == works, errors
            assert (b"/targets/deadlock" in out) == works
            assert b"password: " in errors
            assert works or b"exit status 9" in errors
        os.close(their_end)
        os.close(terminal)
        assert json.loads(world.read("info"))["spec"]["interactive"] == works


def test_plugin_that_hangs(world):
    path = world.write("config", world.config(world.plugin(
        "echo $$ >pid; exec sleep 1000\n", installHint="get it at acme.io")))
    result = world.ps("--kubeconfig", path, "--request-timeout", "1s")
    assert_explained(result, ["did not answer within 1 s", "--request-timeout", "acme.io"])
    assert not os.path.exists("/proc/" + world.read("pid").strip())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_plugin_is_interrupted(world, sent):
    path = world.write("config", world.config(world.plugin("echo $$ >pid; exec sleep 1000\n")))
    process = world.podsnap.inside(world.prefix({})).start(
        "ps", "pod/target", "-n", world.namespace, "--kubeconfig", path)
    pid = wait_until(lambda: os.path.exists(os.path.join(world.dir, "pid")) and
                     world.read("pid").strip(), "pid of the plugin")
    process.send_signal(sent)
    process.communicate(timeout=60)
    assert process.returncode == 128 + sent
    assert not os.path.exists("/proc/" + pid)


# --- in the cluster ------------------------------------------------------------------------------

def test_service_account_of_the_pod_it_is_in(world, cluster):
    """Without any kubeconfig, as the pod's own account."""
    cluster.run_pod("inside", "sleep", "100000", namespace=world.namespace,
                    image=cluster.image("podsnap"), serviceAccountName="looker")
    said = cluster.exec("inside", "/bin/podsnap", "ps", "target", namespace=world.namespace)
    assert "/targets/deadlock" in said
    cluster.run_pod("stranger", "sleep", "100000", namespace=world.namespace,
                    image=cluster.image("podsnap"))
    done = subprocess.run(
        [*cluster.command, "kubectl", "exec", "stranger", "-n", world.namespace, "--",
         "/bin/podsnap", "ps", "target"], capture_output=True, text=True, timeout=60, check=False)
    assert f'system:serviceaccount:{world.namespace}:default" cannot get' in done.stderr
