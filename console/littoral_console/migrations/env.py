"""Run by Alembic, inside the transaction that littoral_console.database hands over."""

from alembic import context

from littoral_console.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
