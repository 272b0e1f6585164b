"""`refinepose export --format web`: a folder with a page that runs a model in the browser.

The folder holds the page, the ONNX file, what the page needs of onnxruntime-web, and ``page.json``.
It needs no network, and nothing but a server of files: browsers run no modules from the disk.
"""

from .page import MODEL, new_folder, require_decodable, write_page
from .runtime import copy_runtime

__all__ = ['MODEL', 'copy_runtime', 'new_folder', 'require_decodable', 'write_page']
