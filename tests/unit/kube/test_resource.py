"""A resource addresses what kubectl's URLs address."""

import pytest

from splai.kube.resource import ACCESS_REVIEWS, INFERENCE_JOBS, PODS, Resource


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "subresource", "want"),
    [
        (PODS, None, None, None, "/api/v1/pods"),
        (PODS, "a", None, None, "/api/v1/namespaces/a/pods"),
        (PODS, "a", "p", None, "/api/v1/namespaces/a/pods/p"),
        (INFERENCE_JOBS, "a", "j", "status", "/apis/splai.dev/v1alpha1/namespaces/a/inferencejobs/j/status"),
        (ACCESS_REVIEWS, "a", None, None, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
        (PODS, "a", "../x", None, "/api/v1/namespaces/a/pods/..%2Fx"),
    ],
)
def test_paths(resource: Resource, namespace: str, name: str, subresource: str, want: str) -> None:
    assert resource.path(namespace, name, subresource) == want


def test_the_name_and_api_version_show_the_group_where_there_is_one() -> None:
    assert (INFERENCE_JOBS.name, INFERENCE_JOBS.api_version) == ("inferencejobs.splai.dev", "splai.dev/v1alpha1")
    assert (PODS.name, PODS.api_version) == ("pods", "v1")
