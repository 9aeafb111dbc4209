"""The shapes that cross a boundary: both custom resources, and the objects in the artifact store.

The one source of truth for CRDs, docs and clients. Imports nothing of SPLAI; everybody may import it.
"""

API_GROUP = "splai.dev"
API_VERSION = "v1alpha1"
