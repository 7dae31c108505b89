import pytest

from gateway.graph import Cloud, check_origin, endpoints_for


@pytest.mark.parametrize(
    ("cloud", "login_url", "graph_url"),
    [
        (Cloud.GLOBAL, "https://login.microsoftonline.com", "https://graph.microsoft.com"),
        (Cloud.GCC_HIGH, "https://login.microsoftonline.us", "https://graph.microsoft.us"),
        (Cloud.DOD, "https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
        (Cloud.CHINA, "https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_each_cloud_has_its_documented_hosts_and_its_graph_host_is_the_scope(cloud, login_url, graph_url):
    endpoints = endpoints_for(cloud)
    assert (endpoints.login_url, endpoints.graph_url) == (login_url, graph_url)
    assert endpoints.scope == f"{graph_url}/.default"


def test_another_server_in_graphs_place_is_sent_the_token_that_graph_would_be_sent():
    endpoints = endpoints_for(Cloud.GCC_HIGH, graph_url="http://127.0.0.1:8081/")
    assert endpoints.graph_url == "http://127.0.0.1:8081"
    assert endpoints.scope == "https://graph.microsoft.us/.default"


def test_a_real_graph_host_given_by_hand_is_its_own_scope():
    endpoints = endpoints_for(Cloud.GLOBAL, graph_url="https://graph.microsoft.us")
    assert endpoints.scope == "https://graph.microsoft.us/.default"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Graph.Example", "https://graph.example"),
        ("https://graph.example:8443/", "https://graph.example:8443"),
        ("http://localhost:8081", "http://localhost:8081"),
        ("http://127.0.0.2", "http://127.0.0.2"),
        ("http://[::1]:8081", "http://[::1]:8081"),
    ],
)
def test_an_origin_is_given_back_in_its_plain_spelling(url, origin):
    assert check_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "graph.microsoft.com",
        "ftp://graph.example",
        "https://",
        "https://graph.example/v1.0",
        "https://graph.example?",
        "https://graph.example#x",
        "https://user@graph.example",
        "https://graph.example:port",
        "https://[::1",
        "https://graph.example\n",
        "http://graph.example",
        "http://10.0.0.1",
        "http://localhost.example",
    ],
)
def test_what_is_no_origin_or_speaks_plain_http_to_others_is_refused_with_a_sentence(url):
    with pytest.raises(ValueError, match=r"(?s)^“.*\.$") as refusal:
        check_origin(url)
    assert len(str(refusal.value)) > 30
