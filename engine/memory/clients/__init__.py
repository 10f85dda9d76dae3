"""The clients whose calls memory goes along with: one module for each family.

None of them imports the client's package: who has such a client has it imported already.
"""
