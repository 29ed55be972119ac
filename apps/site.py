"""The demo page as it is served: to this machine alone, to no stranger's page, and with nothing from elsewhere. Its tabs: `apps/tabs/`."""

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps import photographs, tabs
from apps.page import Page
from tasks.common.own_pages import HOST, OwnPages, check_free
from tasks.profile import Profile

WAITING = 16  # requests that may queue; later ones are told to come back
KEEP = 3600  # seconds that uploads and results stay on the disk
POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'; form-action 'self'"

CSS = """
.gradio-container { max-width: 1400px !important; margin: 0 auto !important; }
.notice { border-left: 4px solid #d97706; background: #d9770622; padding: .7em 1em; border-radius: 4px; }
.examples .grid-wrap { max-height: none; min-height: 0; padding: 0; }
.examples .grid-container { gap: 6px; margin: 0; height: auto; grid: none / repeat(5, minmax(0, 1fr)) !important; }
.examples .gallery-item, .examples button { min-width: 0; width: 100%; height: auto; aspect-ratio: 1; }
.header-cell, .header-cell * { word-break: normal !important; overflow-wrap: normal !important; }
.progress-text { visibility: hidden; } /* the time that the last photograph took, which says nothing of this one */
"""


class ContentPolicy:
    """Middleware that adds the Content-Security-Policy, so that no page of ours reaches for another host."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self.app(scope, receive, send_with_policy if scope["type"] == "http" else send)


def page(profile: Profile) -> gr.Blocks:
    """The page of a profile. Raises Error where the example photographs are missing."""
    with gr.Blocks(title="Darkroom", delete_cache=(KEEP // 6, KEEP), analytics_enabled=False) as blocks:
        gr.Markdown("# Darkroom\nTry the trained networks on a photograph of your own. Nothing leaves this machine.")
        for tab in tabs.find():
            with gr.Tab(tab.TITLE):
                tab.tab(profile, Page(blocks))
    return blocks


def start(profile: Profile, port: int) -> gr.Blocks:
    """Serve the page on loopback until `close`. Raises Error for a port in use."""
    blocks = page(profile).queue(max_size=WAITING, api_open=False)
    font = ("system-ui", "sans-serif")
    style = CSS + "".join(getattr(tab, "CSS", "") for tab in tabs.find())
    try:
        blocks.launch(
            server_name=HOST, server_port=port, share=False, inbrowser=False, quiet=True, prevent_thread_lock=True,
            ssr_mode=False, mcp_server=False, run_history=False, enable_monitoring=False, pwa=False, show_error=False,
            footer_links=[], max_threads=4, state_session_capacity=100, max_file_size=photographs.MAX_BYTES,
            theme=gr.themes.Soft(primary_hue="slate", font=font, font_mono=("ui-monospace", "monospace")), css=style,
            app_kwargs={"middleware": [Middleware(OwnPages), Middleware(ContentPolicy)]},
        )  # fmt: skip
    except OSError:
        check_free(port)
        raise
    return blocks
