"""`python -m orchestrator.revisions.recording PIPE`: started by revisions/compile.py, see child."""

import gc

if __name__ == "__main__":
    # What is imported stays, and collecting it in vain takes a tenth of the start (cli/startup.py).
    gc.disable()
    from orchestrator.revisions.recording.child import main

    gc.freeze()
    gc.enable()
    main()
