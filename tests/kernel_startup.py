"""What a kernel that checks a notebook runs first, in the notebook's own namespace, where it leaves no name."""

if __import__("os").environ.get("COURSE_STATIC") == "1":  # tests that play the learner start kernels as well
    __import__("rehearsal").install()
