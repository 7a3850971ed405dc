"""`transport: sdk`: calls sent through the vendors' own clients, for those who need their sign-in.

One file a vendor, of the adapter's name, with a class `Client`: a transport like any other. It sends the call that the
adapter asked for, once, and hands back the bytes that came, so that the adapter stays the only reader: every one of
these clients takes a broken 200 for a clean one. Retries, redirects, proxies and tracing are off; timeouts are ours.
"""
