"""Names by which other people's logs call what a recipe asks for, likeliest first, in small letters alone."""

from __future__ import annotations

import re

EVENTS = (
    *("eventid", "impressionid", "insertid", "requestid", "eventuuid", "displayid", "bidid", "sendid", "deliveryid"),
    *("notificationid", "messageid", "mailid", "mail", "id", "uuid", "guid", "rowid", "keypart"),
)
USERS = (
    *("userid", "uid", "user", "customerid", "customer", "clientid", "memberid", "onesignalid", "externalid"),
    *("externaluserid", "playerid", "subscriberid", "subscriptionid", "domainuserid", "networkuserid", "userpseudoid"),
    *("fullvisitorid", "visitorid", "cookieid", "cookie", "accountid", "idfa", "gaid", "deviceid", "deviceip"),
    *("ipaddress", "ip"),
)
CAMPAIGNS = (
    *(
        "campaignid",
        "campaign",
        "campaignname",
        "mktcampaign",
        "lineitemid",
        "lineitem",
        "orderid",
        "adgroupid",
        "creativeid",
        "adid",
    ),
    *("ad", "topic", "messageid", "notificationid", "templateid", "template", "newsletter", "promotionid", "itemid"),
    *("movieid", "articleid", "productid"),
)
CHANNELS = ("channel", "medium", "messagechannel", "platformchannel", "channelname")
TIMES = (
    *(
        "timeusec2",
        "ts",
        "timestamp",
        "eventtime",
        "eventtimestamp",
        "time",
        "sentat",
        "senttime",
        "shownat",
        "servedat",
    ),
    *("sendtime", "impressiontime", "derivedtstamp", "collectortstamp", "datetime", "createdat", "hour", "date"),
    *("day", "datum"),
)
KINDS = ("kind", "eventtype", "event", "eventname", "type", "action", "outcome")
# What an outcome is called, and its kind.
OUTCOMES = {
    **dict.fromkeys(("click", "clicks", "clicked", "isclick", "isclicked", "clickthrough"), "click"),
    **dict.fromkeys(("open", "opened", "opens", "isopen", "isopened"), "open"),
    **dict.fromkeys(("conversion", "converted", "convert", "isconverted", "conversions"), "conversion"),
    **dict.fromkeys(("purchase", "purchased", "order", "ordered", "bought"), "purchase"),
    **dict.fromkeys(("label", "target", "y", "response", "outcome", "result", "positive"), "positive"),
    **dict.fromkeys(("liked", "like"), "like"),
    **dict.fromkeys(("subscribed", "booked", "installed", "install", "registered", "signup"), "conversion"),
}
PUSH, MAIL = {"push", "notification", "notifications"}, {"mail", "email", "newsletter"}
CODES = {
    "id",
    "version",
    "build",
    "code",
    "cat",
    "category",
    "hash",
    "zip",
    "plz",
    "type",
    "group",
    "segment",
    "class",
    "pos",
    "position",
}


def plain(name: str) -> str:
    """Return a name's letters and digits, small."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def words_of(name: str) -> list[str]:
    """Return the words of a name, small; a number behind a word is none."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def kind_of(name: str) -> str:
    """Return the kind of outcome that a column's name tells of; empty for none."""
    found = OUTCOMES.get(plain(name)) or next((OUTCOMES[w] for w in words_of(name) if w in OUTCOMES and len(w) > 1), "")
    return found or ""


def slug(text: str, otherwise: str) -> str:
    """Return a text as a name that recipes take: small letters, digits, _ and -."""
    made = re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_-")
    return made or otherwise
