"""Settings of Sphinx; `make docs` builds the site, with warnings as errors."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

# Pictures go to files, and outputs have no progress bars of downloads and weights.
os.environ["MPLBACKEND"] = "Agg"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

from api_names import PACKAGES, grouped_names, public_names, shown_members

import hyperrank

project = "hyperrank"
author = copyright = "The hyperrank developers"
version = release = hyperrank.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    # In docs/extensions.
    "generated_pages",
    "mathml",
    "outputs",
    "parameter_groups",
]
templates_path = ["templates"]
exclude_patterns = [
    "_build",
    "extensions",
    "templates",
    "tutorials",
    "examples",
    "**/*.ipynb",
    "gallery/*.py",
]

# Every cross-reference must resolve. No other project's site is queried, so that the site builds
# without a network: types stay text.
nitpicky = True
default_role = "literal"

# numpydoc's sections say the types, and say them better than annotations do.
autodoc_typehints = "none"
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
# What the templates ask for; plain values, which Sphinx can compare with those of the last build.
_names = {package: public_names(package) for package in PACKAGES}
autosummary_context = {
    "names": _names,
    "groups": {package: grouped_names(package) for package in PACKAGES},
    "shown": {name: shown_members(name) for found in _names.values() for name, _ in found},
}
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

# The pages are Markdown, to be read where the repository is hosted too.
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# MathML, which browsers set themselves: MathJax would be fetched from elsewhere by every reader.
html_math_renderer = "mathml"

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    # Ours looks first: the other closes what it saves.
    "image_scrapers": ("figures.save_figures", "matplotlib"),
    "capture_repr": ("_repr_html_",),
    "reset_modules": ("matplotlib", "figures.reset"),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1,
    "remove_config_comments": True,
    # Pages of the API list the tutorials that call what they describe.
    "doc_module": ("hyperrank",),
    "backreferences_dir": "gallery/backreferences",
    "inspect_global_variables": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "hyperrank"
html_static_path = ["static"]
html_logo = html_favicon = "static/logo.svg"
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {
    "why": [],
    "install": [],
    "tour": [],
    "contributing": [],
    "changes": [],
}
html_theme_options = {
    "logo": {"text": "hyperrank"},
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": {
        "**": ["page-toc"],
        **{f"results/{table.stem}": [] for table in HERE.parent.glob("benchmarks/results/*.md")},
    },
    "show_toc_level": 2,
    "show_version_warning_banner": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
# The repository that this clone was made from, where it has an address on the web.
_git = ["git", "-C", str(HERE), "remote", "get-url", "origin"]
_origin = subprocess.run(_git, capture_output=True, text=True, check=False).stdout.strip()
if _origin.startswith("https://"):
    html_theme_options["icon_links"] = [
        {"name": "Repository", "url": _origin.removesuffix(".git"), "icon": "fa-solid fa-code-branch"}
    ]
copybutton_exclude = ".linenos, .gp, .go"
