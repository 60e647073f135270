"""The Gradio face of the arena, the only importer of gradio."""
