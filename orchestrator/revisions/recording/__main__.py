"""`python -m orchestrator.revisions.recording PIPE`: started by revisions/compile.py, see child."""

from orchestrator.revisions.recording.child import main

if __name__ == "__main__":
    main()
