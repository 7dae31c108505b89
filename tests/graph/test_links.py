import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.graph import ForeignUrl, links

from .fakes import GRAPH


@pytest.mark.parametrize(
    "link",
    [
        "https://graph.microsoft.com/v1.0/me/mailfolders('AQMkADNkNAAAgEMAAAA')/messages/delta?$skiptoken=Gwc%2FB+x",
        "https://graph.microsoft.com:443/v1.0/users?$skiptoken=a'b",
        "HTTPS://GRAPH.microsoft.com/v1.0/users",
    ],
)
def test_a_link_back_to_graph_is_followed_as_it_is(link):
    assert links.own_url(link, GRAPH) == link


@pytest.mark.parametrize(
    "link",
    [
        "http://graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com:444/v1.0/users",
        "https://graph.microsoft.com.evil.example/v1.0",
        "https://graph.microsoft.com@evil.example/v1.0",
        "https://user:pass@graph.microsoft.com/v1.0",
        "https://evil.example\\@graph.microsoft.com/",
        "//graph.microsoft.com/v1.0",
        "/v1.0/users",
        "",
        "https://graph.microsoft.com:99999/",
        "https://graph.microsoft.com/\x00",
    ],
)
def test_a_link_to_anywhere_else_is_refused(link):
    with pytest.raises(ForeignUrl):
        links.own_url(link, GRAPH)


@given(st.text() | st.builds("https://graph.microsoft.com{}".format, st.text()))
def test_whatever_link_is_followed_leads_to_graph(link):
    try:
        followed = httpx.URL(links.own_url(link, GRAPH))
    except ForeignUrl:
        return
    assert (followed.scheme, followed.host, followed.userinfo) == ("https", "graph.microsoft.com", b"")


@pytest.mark.parametrize(
    "url",
    [
        "https://outlook.office.com/api/v2.0/x?authtoken=a",
        "https://OUTLOOK.office365.com:443/api/gv1.0/users('u')/AttachmentSessions('s')",
        "https://partner.outlook.cn/api/v2.0/x",
        f"{GRAPH}/api/v2.0/x?authtoken=a",
    ],
)
def test_an_upload_url_leads_to_outlook_or_back_to_the_server_that_gave_it(url):
    assert links.upload_url(url, GRAPH) == url


def test_the_server_that_gave_it_may_be_this_machine():
    url = "http://127.0.0.1:8600/api/v2.0/x"
    assert links.upload_url(url, "http://127.0.0.1:8600") == url


@given(st.text() | st.builds("https://outlook.office.com{}".format, st.text()))
def test_whatever_upload_url_is_used_leads_to_outlook_or_graph(url):
    try:
        used = httpx.URL(links.upload_url(url, GRAPH))
    except ForeignUrl:
        return
    assert (used.scheme, used.userinfo) == ("https", b"")
    assert used.host in {"outlook.office.com", "outlook.office365.com", "partner.outlook.cn", "graph.microsoft.com"}
