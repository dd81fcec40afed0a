"""Gradio's protocol: what an app declares, how a call is sent, and what its messages mean.

**The route.** Each call is sent as ``POST {prefix}/call/{api}`` with a session of its own, and its
messages are read from ``GET {prefix}/queue/data?session_hash=…``. Of the ways that Gradio 4, 5 and 6 offer,
this one loses least:

- The documented stream of ``/call/{api}/{event_id}`` shows no reason of an error in Gradio 4 and 5, and
  neither progress nor messages in any version.
- ``POST /queue/join`` names the function by its number, which changes when the app is edited. With a name,
  an app that was redeployed in between rejects the call instead of running another function.
- Calls that name a function get the whole values of a generator; calls by number get edits of the value
before.
- A session of its own keeps a call safe from the others: to cancel a call ends every running call of the
  function in the session, and a stream that breaks loses every answer of the session.

No released version keeps an answer that was not read. A stream that ends without a last message is a lost
call, and so is a stream that reports an unknown session.
"""
