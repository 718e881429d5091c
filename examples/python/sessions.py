"""Sessions: a transaction with a savepoint, optimistic locking, and a worker that waits.

Run it with: python examples/python/sessions.py
"""

import threading

import moonkv

engine = moonkv.Engine(decode_responses=True)
engine.command("MSET", "gold:ann", 100, "gold:bob", 20)


def pay(amount: int) -> None:
    """Moves gold from ann to bob: all of it happens or nothing."""
    with engine.transaction() as session:
        session.command("INCRBY", "gold:bob", amount)
        if session.command("DECRBY", "gold:ann", amount) < 0:
            raise ValueError("ann has too little")
        with session.savepoint() as before_fee:
            if session.command("DECRBY", "gold:ann", 50) < 0:
                before_fee.rollback()


pay(70)
print(engine.command("MGET", "gold:ann", "gold:bob"))  # -> ['30', '90']
try:
    pay(70)
except ValueError as error:
    print(error)  # -> ann has too little
print(engine.command("MGET", "gold:ann", "gold:bob"))  # -> ['30', '90']

# As in Redis: EXEC does nothing if a watched key has changed since.
with engine.session() as mine:
    mine.command("WATCH", "gold:ann")
    engine.command("INCR", "gold:ann")
    mine.command("MULTI")
    mine.command("SET", "gold:ann", 0)
    print(mine.command("EXEC"))  # -> None


def work() -> None:
    """Takes jobs until the wait is cancelled; others use the engine meanwhile."""
    try:
        while True:
            _, job = worker.command("BLPOP", "jobs", 0)
            done.append(job)
            if job == "cook":
                ready.set()
    except moonkv.ResponseError as error:
        done.append(str(error))


done: list[str] = []
ready = threading.Event()
worker = engine.session()
thread = threading.Thread(target=work)
thread.start()
engine.command("RPUSH", "jobs", "sweep", "cook")
ready.wait()
while thread.is_alive():
    worker.cancel()
    thread.join(0.01)
print(done)  # -> ['sweep', 'cook', 'ERR the call was cancelled by the host']
