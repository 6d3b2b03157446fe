{#-
    By default the server may notice only after two hours that the client of a transaction is gone,
    and never during a statement. Until then the next run would wait for its locks.
-#}
{% macro notice_lost_client() -%}
    {%- if on_postgres() -%}
    select set_config(name, value, true)
    from (
        values
            ('tcp_keepalives_idle', '20'),
            ('tcp_keepalives_interval', '5'),
            ('tcp_keepalives_count', '3'),
            ('tcp_user_timeout', '35000'),
            ('client_connection_check_interval', '10000')
    ) as wanted (name, value)
    where name <> 'client_connection_check_interval' or version() ~ 'linux|darwin|freebsd'
    {%- endif -%}
{%- endmacro %}
