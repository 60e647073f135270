"""The arena's Gradio theme: every colour, face and measure points at a token of `assets/tokens.css`."""

from collections.abc import Mapping

import gradio as gr

_TOKENS: Mapping[str, tuple[str, ...]] = {
    "--arena-bg": ("body_background_fill",),
    "--arena-surface": (
        "background_fill_primary",
        "input_background_fill",
        "input_background_fill_focus",
        "input_background_fill_hover",
        "checkbox_background_color",
    ),
    "--arena-sunken": (
        "background_fill_secondary",
        "code_background_fill",
        "stat_background_fill",
        "table_even_background_fill",
        "button_secondary_background_fill_hover",
    ),
    "--arena-ink": (
        "body_text_color",
        "block_title_text_color",
        "accordion_text_color",
        "table_text_color",
        "button_secondary_text_color",
        "button_secondary_text_color_hover",
        "checkbox_label_text_color",
    ),
    "--arena-muted": (
        "body_text_color_subdued",
        "block_info_text_color",
        "block_label_text_color",
        "input_placeholder_color",
    ),
    "--arena-line": (
        "border_color_primary",
        "block_border_color",
        "table_border_color",
        "panel_border_color",
    ),
    "--arena-line-strong": (
        "input_border_color",
        "input_border_color_hover",
        "button_secondary_border_color",
        "checkbox_border_color",
    ),
    "--arena-accent": (
        "link_text_color",
        "link_text_color_active",
        "link_text_color_hover",
        "link_text_color_visited",
        "slider_color",
        "loader_color",
        "button_primary_background_fill",
        "button_primary_border_color",
        "checkbox_background_color_selected",
        "checkbox_border_color_selected",
        "border_color_accent",
        "button_secondary_border_color_hover",
    ),
    "--arena-accent-ink": ("button_primary_text_color", "button_primary_text_color_hover"),
    "--arena-accent-soft": ("color_accent_soft", "border_color_accent_subdued", "table_row_focus"),
    "--arena-focus": ("input_border_color_focus", "checkbox_border_color_focus"),
}
"""Which of Gradio's variables take which token; the tokens change with the scheme, so both schemes take the same."""

_PLAIN: Mapping[str, str] = {
    "block_background_fill": "transparent",
    "block_label_background_fill": "transparent",
    "block_title_background_fill": "transparent",
    "panel_background_fill": "transparent",
    "block_border_width": "0px",
    "block_label_border_width": "0px",
    "block_shadow": "none",
    "input_shadow": "none",
    "input_shadow_focus": "none",
    "button_primary_shadow": "none",
    "button_primary_shadow_hover": "none",
    "button_secondary_shadow": "none",
    "button_secondary_shadow_hover": "none",
    "button_secondary_background_fill": "transparent",
    "button_primary_background_fill_hover": "color-mix(in srgb, var(--arena-accent) 86%, var(--arena-ink))",
}


class ArenaTheme(gr.themes.Base):
    """Paper, ink and system fonts; asks no other origin for anything."""

    def __init__(self) -> None:
        super().__init__(
            font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"),
            font_mono=("ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "monospace"),
            radius_size=gr.themes.sizes.radius_md,
            text_size=gr.themes.sizes.text_md,
            spacing_size=gr.themes.sizes.spacing_md,
        )
        self.name = "coaia-arena"
        values = {name: f"var({token})" for token, names in _TOKENS.items() for name in names} | dict(_PLAIN)
        for name, value in values.items():
            setattr(self, name, value)
            setattr(self, f"{name}_dark", value)
        self.color_accent = "var(--arena-accent)"
        self.block_padding = "0px"
        self.block_radius = "var(--arena-radius)"
        self.layout_gap = "1rem"
        self.button_large_radius = self.button_medium_radius = self.button_small_radius = "8px"
        self.button_large_text_size = self.button_medium_text_size = "0.975rem"
        self.button_large_text_weight = self.button_medium_text_weight = "550"
        self.chatbot_text_size = "1rem"
        self.prose_text_size = "1rem"
