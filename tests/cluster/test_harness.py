"""The test cluster itself: what the other cluster tests rely on."""

import re

import pytest

from lib.wait import wait_until

SLEEP = ("sleep", "100000")


@pytest.mark.parametrize("uid", [0, 1000])
def test_pod_runs_as_the_asked_user_and_exec_enters_it(cluster, namespace, uid):
    cluster.run_pod("sleeper", *SLEEP, namespace=namespace, security={"runAsUser": uid})
    assert cluster.exec("sleeper", "id", "-u", namespace=namespace).strip() == str(uid)


def test_processes_of_a_pod_are_those_of_its_containers(cluster, namespace):
    pod = cluster.run_pod("sleeper", *SLEEP, namespace=namespace)
    assert list(cluster.processes(pod).values()) == [list(SLEEP)]
    assert ["/pause"] in cluster.processes(pod, with_pause=True).values()


def test_memory_limit_is_the_kernels(cluster, namespace):
    cluster.run_pod("limited", namespace=namespace, containers=[{
        "name": "app", "image": cluster.image("busybox"), "imagePullPolicy": "Never",
        "command": list(SLEEP), "resources": {"limits": {"memory": "64Mi"}}}])
    limit = cluster.exec("limited", "sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes "
                         "/sys/fs/cgroup/memory.max 2>/dev/null || true", namespace=namespace)
    assert limit.strip() == str(64 << 20)


@pytest.mark.parametrize("component", ["kubelet", "containerd", "apiserver"])
def test_killed_component_comes_back_and_pods_live_on(cluster, namespace, component):
    pod = cluster.run_pod("sleeper", *SLEEP, namespace=namespace)
    before = cluster.processes(pod)
    cluster.kill(component)
    cluster.wait_ready()
    assert cluster.processes(pod) == before
    answer = wait_until(lambda: cluster.exec("sleeper", "echo", "alive", namespace=namespace,
                                             expect=None), "answer to an exec", interval=0.5)
    assert answer == "alive\n"


def test_pod_security_refuses_what_its_level_forbids(cluster, namespace):
    cluster.namespace(namespace + "-r", pod_security="restricted")
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        cluster.run_pod("root", *SLEEP, namespace=namespace + "-r")


def test_unprivileged_user_is_refused_and_expired_certificate_is_unknown(cluster):
    podless = cluster.user("nobody-special")
    with pytest.raises(AssertionError, match=re.escape('User "nobody-special" cannot list')):
        cluster.kubectl("--kubeconfig", podless, "get", "pods")
    expired = cluster.user("expired", "system:masters", -1)
    with pytest.raises(AssertionError, match="Unauthorized"):
        cluster.kubectl("--kubeconfig", expired, "get", "pods")


def test_pod_reaches_the_object_store(cluster, cluster_minio, namespace):
    cluster.run_pod("sleeper", *SLEEP, namespace=namespace)
    url = cluster_minio.endpoint + "/minio/health/ready"
    assert cluster.exec("sleeper", "wget", "-qO-", url, namespace=namespace) == ""


def test_image_without_a_shell_has_none(cluster, namespace):
    cluster.image("nginx")
    pod = cluster.run_pod("web", "/usr/sbin/nginx", namespace=namespace,
                          image=cluster.image("nginx"))
    assert len(cluster.processes(pod)) == 3
