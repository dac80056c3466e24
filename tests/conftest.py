"""Turn every shape in a course_lib signature into a check, before any of its modules is imported."""

from jaxtyping import install_import_hook

install_import_hook("course_lib", "beartype.beartype")
