"""Rules that every planned resource must keep before Azure sees it (a Pulumi CrossGuard pack).

A rule is a plain function over a resource's type and its camelCase inputs; `policies.rule` turns it into a
violation that says which resource, which rule, why it matters and the mend. `__main__` serves the pack to
the engine (``pulumi preview --policy-pack policies``). What only a whole deployment can show, reachability
above all, is proven by ``./fed verify``; the pack stops the single wrong property early.
"""
