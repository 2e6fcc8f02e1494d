"""Runs a client's command line program, bounded, and shows what it said."""
import subprocess

from . import brokers


def run(*command, stdin=None, seconds=60, check=True, cwd=None, env=None):
    """The finished process; its output goes to the log of the check. `stdin` is text or bytes."""
    words = list(map(str, command))
    data = stdin.encode() if isinstance(stdin, str) else stdin
    print("$", " ".join(words)[:400], flush=True)
    done = subprocess.run(
        words, input=data, stdin=subprocess.DEVNULL if data is None else None, cwd=cwd, env=env, timeout=seconds,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    done.text, done.error = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    print(done.text[-2000:], done.error[-2000:], f"exit {done.returncode}", sep="\n", flush=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{words[0]} exited {done.returncode}: {(done.error or done.text)[-250:]}")
    return done


def java(main, *arguments, **options):
    properties = options.pop("properties", ())
    return run(*brokers.java_command(main, *arguments, properties=properties), **options)
