"""What the page shows of one message's attachments: what each is, by its real name, and where it leads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

from gateway.http.downloads import safe_name
from gateway.threads.reading import ListedFile

# What runs when it is opened, or can: https://support.microsoft.com/office/blocked-attachments-in-outlook
_PROGRAMS: Final = (
    "ade adp app appref-ms appx application asp bas bat cab cer chm cmd com cpl crt csh der diagcab exe fxp gadget grp "
    "hlp hpj hta inf ins iso isp its jar jnlp js jse ksh lnk mad maf mag mam mar mau mav maw mcf mda mdb mde mdt mdw "
    "mdz msc msh msi msp mst msu ops pcd pif pl plg prf prg ps1 ps2 psc1 psd1 psm1 pst py pyc reg scf scr sct sh shb "
    "shs theme tmp url vb vbe vbp vbs vhd vhdx vsmacros vsw webpnp ws wsc wsf wsh xbap xll xnk "
    "htm html shtml xhtml svg xml xsl mht mhtml docm dotm xlsm xltm xlam pptm potm ppsm"
)
PROGRAMS: Final = frozenset(_PROGRAMS.split())
KINDS: Final = {
    "pdf": "PDF",
    "doc": "Word document",
    "docx": "Word document",
    "odt": "Text document",
    "rtf": "Text document",
    "txt": "Plain text",
    "xls": "Excel workbook",
    "xlsx": "Excel workbook",
    "ods": "Spreadsheet",
    "csv": "Table",
    "ppt": "Presentation",
    "pptx": "Presentation",
    "zip": "Archive",
    "ics": "Calendar entry",
    "vcf": "Contact",
    "eml": "Message",
    "msg": "Message",
}
FAMILIES: Final = {"image": "Picture", "audio": "Sound", "video": "Video"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """An attachment as the template needs it.

    `path` is where it is fetched, behind the message's own; a file in the cloud has none, but may have a `link` and its
    `host`. `can_run`: to open it is to run it.
    """

    name: str
    kind: str
    size: int | None
    path: str | None
    link: str | None
    host: str | None
    can_run: bool


def shown_files(files: Sequence[ListedFile]) -> list[ShownFile]:
    """In the order of the mail."""
    return [_shown(one) for one in files]


def _shown(listed: ListedFile) -> ShownFile:
    file = listed.file
    name = safe_name(file.name, fallback="message" if file.kind == "item" else "attachment")
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if file.kind == "reference":
        host = urlsplit(listed.link).hostname if listed.link else None
        return ShownFile(
            name=name, kind="In the cloud", size=None, path=None, link=listed.link, host=host, can_run=False
        )
    return ShownFile(
        name=name,
        kind="Attached message" if file.kind == "item" else _kind(extension, file.content_type),
        size=file.size,
        path=f"attachments/{quote(file.id, safe='')}",
        link=None,
        host=None,
        can_run=file.kind == "file" and extension in PROGRAMS,
    )


def _kind(extension: str, content_type: str) -> str:
    """What people call it: by the name, for that is what decides what opens it."""
    family = FAMILIES.get(content_type.partition("/")[0].lower())
    return KINDS.get(extension) or family or (f"{extension.upper()} file" if 0 < len(extension) <= 5 else "File")
