"""Rights in the cluster: giving them, and reading which one an error asks for."""

import json
import os
import re

from lib.wait import wait_until

IMAGES = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                                       "images"))


def role_file(route):
    """Where the least Role for a route is."""
    return os.path.join(IMAGES, f"rbac-{route}.yaml")


def manifest(cluster, path):
    """The objects of a file of images/."""
    text = cluster.kubectl("create", "--dry-run=client", "-o", "json", "-f", path).strip()
    found, decoder = [], json.JSONDecoder()
    while text:
        one, end = decoder.raw_decode(text)
        found += one["items"] if one["kind"] == "List" else [one]
        text = text[end:].lstrip()
    return found


def role_rules(cluster, route, name=None):
    """The rules of its Role: the only one, or that of a name."""
    role, = [one for one in manifest(cluster, role_file(route))
             if name in (None, one["metadata"]["name"])]
    return role["rules"]


def allow(cluster, namespace, user, rules, name):
    """Gives a user a Role of these rules."""
    api = "rbac.authorization.k8s.io"
    cluster.apply(
        {"apiVersion": api + "/v1", "kind": "Role", "rules": rules,
         "metadata": {"name": name, "namespace": namespace}},
        {"apiVersion": api + "/v1", "kind": "RoleBinding",
         "metadata": {"name": name, "namespace": namespace},
         "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
         "subjects": [{"apiGroup": api, "kind": "User", "name": user}]})


def await_allowed(cluster, namespace, user, verb, resource, answer="yes"):
    """The API server learns of a new Role a moment later."""
    name, _, sub = resource.partition("/")
    wait_until(lambda: cluster.kubectl(
        "auth", "can-i", verb, name, *(["--subresource", sub] if sub else []), "--as", user,
        "-n", namespace, expect=None).strip() == answer, f"right to {verb} {resource}", interval=0.1)


def needed_rule(said):
    """The rule that an error names, as in a Role: group, resource, verbs."""
    found = re.search(r'- apiGroups: \["(.*)"\]\n\s+resources: \["(.*)"\]\n\s+verbs: \[(.*)\]',
                      said)
    assert found, said
    return found[1], found[2], re.findall(r'"(\w+)"', found[3])
