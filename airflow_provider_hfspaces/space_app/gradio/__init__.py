"""Gradio's protocol: the app's declaration, how a call is sent, and what the messages of a call mean.

Come here to change how Gradio apps are called.

**The route.** Each call is sent as ``POST {prefix}/call/{api}`` with a session of its own, and its messages
are read from ``GET {prefix}/queue/data?session_hash=…``. Of the routes of Gradio 4, 5 and 6, this one loses
the least information:

- The documented stream ``/call/{api}/{event_id}`` sends no reason for an error in Gradio 4 and 5, and neither
progress nor messages in any version. - ``POST /queue/join`` identifies the function by its number, which
changes when the app is edited. With a name, an app that was redeployed in the meantime rejects the call
instead of running another function. - A call by name receives the whole values of a generator. A call by
number receives the differences from the previous value. - With a session of its own, a call does not depend
on other calls. In a shared session, cancelling a call ends all running calls of the function, and a broken
stream loses the answers of all calls.

No released version of Gradio keeps an answer that was not read. A call is lost if its stream ends without a
last message, or reports an unknown session.
"""
