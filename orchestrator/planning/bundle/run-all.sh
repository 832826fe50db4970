#!/bin/sh
# Runs the scripts of this bundle on every target of targets.csv, with psql, mysql or mariadb.
# It can be started again at any time: what is done is left alone, what was cut off goes on.
# Needs a POSIX shell, awk, sed, and the clients; nothing of orchestrator.
set -u
LC_ALL=C
export LC_ALL

usage() {
    cat <<'TEXT'
usage: ./run-all.sh [-j N] [-f N] [-w SECONDS] [-b BIND] [-s SERVER] [-t TENANT] [-S] [-o FILE] [-u] [-n]

  -j N        targets at a time (4)
  -f N        failures after which nothing new is started (0)
  -w SECONDS  how long to wait for a target that another session holds (60)
  -b, -s, -t  only this bind, server, tenant
  -S          read connections by the name of the server: the service SERVER of psql
              (pg_service.conf), the group [client_SERVER] of the option file of mysql;
              for the server "default", by the name of its bind
  -o FILE     the option file of mysql, instead of ~/.my.cnf and its like
  -u          undo: the .down.sql scripts, on the targets that stand where the .up.sql ones end
              (of a bundle that goes down: the other way round)
  -n          only list what would be run

Users and passwords are the clients' own affair: PGUSER, PGPASSFILE, PGSERVICE, ~/.pgpass;
MYSQL_USER (read here), MYSQL_PWD, ~/.my.cnf.
What became of each target is in results.csv; what the clients said, in the folder logs.
TEXT
}

jobs=4 budget=0 patience=60 bind='' server='' tenant='' services='' undo='' list='' options=''
while getopts j:f:w:b:s:t:So:unh option; do
    case $option in
    j) jobs=$OPTARG ;;
    f) budget=$OPTARG ;;
    w) patience=$OPTARG ;;
    b) bind=$OPTARG ;;
    s) server=$OPTARG ;;
    t) tenant=$OPTARG ;;
    S) services=yes ;;
    o) options=$OPTARG ;;
    u) undo=yes ;;
    n) list=yes ;;
    h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
for number in "$jobs" "$budget" "$patience"; do
    case $number in
    '' | *[!0-9]*) echo "run-all.sh: $number is no number" >&2; exit 2 ;;
    esac
done
[ "$jobs" -gt 0 ] || { echo "run-all.sh: -j needs at least 1" >&2; exit 2; }

case $options in
'' | /*) ;;
*) options=$PWD/$options ;;
esac
[ -z "$options" ] || [ -r "$options" ] || { echo "run-all.sh: $options cannot be read" >&2; exit 2; }
CDPATH='' cd -- "$(dirname -- "$0")" || exit 2
[ -r targets.csv ] || { echo "run-all.sh: targets.csv is not here" >&2; exit 2; }
results=results.csv others=results-undo.csv
[ -z "$undo" ] || results=results-undo.csv others=results.csv
work=$(mktemp -d "${TMPDIR:-/tmp}/run-all.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'stop_all' HUP INT TERM
stop_all() {
    [ -e "$work/stop" ] || echo "run-all.sh: stopping; start it again to go on" >&2
    : >"$work/stop"
}

# Fields of CSV, between unit separators: names hold no control characters.
fields() {
    awk '
        function field(text) {
            gsub(/""/, "\"", text)
            return text
        }
        {
            sub(/\r$/, "")
            out = ""
            rest = $0
            while (1) {
                if (rest ~ /^"/) {
                    match(rest, /^"([^"]|"")*"/)
                    one = field(substr(rest, 2, RLENGTH - 2))
                    rest = substr(rest, RLENGTH + 1)
                } else {
                    match(rest, /^[^,]*/)
                    one = substr(rest, 1, RLENGTH)
                    rest = substr(rest, RLENGTH + 1)
                }
                out = out one
                if (rest == "") break
                out = out "\037"
                rest = substr(rest, 2)
            }
            print out
        }' "$1"
}

separator=$(printf '\037')
fields targets.csv | sed 1d >"$work/all"
: >"$work/finished"
: >"$work/others"
[ ! -r "$others" ] || fields "$others" | sed 1d >"$work/others"
# What goes the other way begins in another second, so that it is seen to be the later.
turned=$(awk -F "$separator" '$8 > last { last = $8 } END { print last }' "$work/others")
[ "$turned" != "$(date -u +%Y-%m-%dT%H:%M:%SZ)" ] || sleep 1
if [ -r "$results" ]; then
    # The last word on each target counts, unless it has gone the other way since.
    fields "$results" | sed 1d | awk -F "$separator" -v OFS="$separator" '
        { key = $1 OFS $2 OFS $4 OFS $5 }
        FILENAME == ARGV[1] { turned[key] = $8 ""; next }
        { last[key] = $6; began[key] = $8 "" }
        END {
            for (key in last)
                if (last[key] ~ /^(done|already)$/ && turned[key] < began[key]) print key
        }' "$work/others" - >"$work/finished"
fi
# By ENVIRON, because awk -v reads backslashes.
only_bind=$bind only_server=$server only_tenant=$tenant work=$work awk -F "$separator" -v OFS="$separator" '
    BEGIN {
        # With "", for awk compares what looks like numbers as numbers: 7 is not 007.
        bind = ENVIRON["only_bind"] ""
        server = ENVIRON["only_server"] ""
        tenant = ENVIRON["only_tenant"] ""
    }
    FILENAME == ARGV[1] { finished[$0]; next }
    { done = ($1 OFS $3 OFS $8 OFS $7) in finished }
    (bind != "" && $1 != bind) || (server != "" && $3 != server) || (tenant != "" && $9 != tenant) {
        if (!done) print $2, $1 >(ENVIRON["work"] "/unselected")
        next
    }
    { print >(ENVIRON["work"] "/selected") }
    !done { print $0, FNR }' "$work/finished" "$work/all" >"$work/targets"
total=$(wc -l <"$work/targets" | tr -d ' ')
left=$(wc -l <"$work/all" | tr -d ' ')
if [ "$left" -gt 0 ] && [ ! -s "$work/selected" ]; then
    echo "run-all.sh: no target of targets.csv is what -b, -s and -t name" >&2
    exit 2
fi

if [ -n "$list" ]; then
    awk -F "$separator" '{ printf "%s %s %s %s: %s\n", $1, $3, $9, $8 == "" ? $7 : $8, $13 }' \
        "$work/targets"
    exit 0
fi
mkdir -p logs || {
    echo "run-all.sh: this folder takes results.csv and logs: copy it to where you may write" >&2
    exit 2
}
# Each connection must lead to one server: nothing is sent anywhere by a name that means two.
if [ -n "$services" ]; then
    twice=$(awk -F "$separator" '
        {
            name = $3 == "default" ? $1 : $3
            key = ($4 == "psql" ? "service " name : "option group client_" name)
            place = $5 ":" $6
            if (key in seen && seen[key] != place) { print key; exit }
            seen[key] = place
        }' "$work/targets")
    if [ -n "$twice" ]; then
        echo "run-all.sh: the $twice would be two servers: run one bind at a time (-b), each with" \
            "its own PGSERVICEFILE or -o" >&2
        exit 2
    fi
else
    if [ -n "${PGSERVICE:-}" ] && [ "$(
        awk -F "$separator" '$4 == "psql" { print $1, $3 == "default" ? "" : $3, $5, $6 }' \
            "$work/targets" | cut -d ' ' -f 2- | sort -u | wc -l
    )" -gt 1 ]; then
        echo "run-all.sh: PGSERVICE is one server, and the targets are on several: use -S" >&2
        exit 2
    fi
    unnamed=$(awk -F "$separator" '
        $5 == "" && ($1 in seen) && seen[$1] != $3 { print $1; exit }
        $5 == "" { seen[$1] = $3 }' "$work/targets")
    if [ -n "$unnamed" ]; then
        echo "run-all.sh: targets.csv has no hosts for the servers of $unnamed: use -S" >&2
        exit 2
    fi
fi
[ -e "$results" ] || echo 'bind,server,tenant,schema,database,result,at,started,seconds,message' >"$results"
: >"$work/failed"
: >"$work/live"
: >"$work/ended"

quoted() {
    printf '"'
    printf %s "$1" | sed 's/"/""/g' | tr '\n' ' '
    printf '"'
}

# The opening of a script and all behind a place in it: from statement FIRST of step STEP on, and
# what the statements before it made of the session.
rest_of() {
    awk -v step="$2" -v first="$3" '
        /^-- @step / {
            inside = 1
            on = $3 > step || ($3 == step && first == 0)
            if ($3 == step && $10 == "joined") print "BEGIN;"
        }
        /^-- @statement / && $3 == step && first > 0 { on = $4 >= first || $5 == "session" }
        /^-- @(evidence|refused) / { next }
        /^-- @finish / && $3 == step { on = 1 }
        /^-- @end/ { on = 1 }
        !inside || on' "$1"
}

# Steps of scripts: SCRIPT STEP FROM TO REVISION DIRECTION SOURCE WAY, a line each.
steps_of() {
    for path in "$@"; do
        awk -v path="$path" '/^-- @step / { print path, $3, $4, $5, $6, $7, $8, $9 }' "$path"
    done
}

# psql or mysql with what says where to connect, before the arguments that are given. -w: psql asks
# for no password, which several at a time could not.
run_psql() {
    # As an argument, because a service's own dbname goes before PGDATABASE.
    [ -z "$database" ] ||
        set -- -d "dbname='$(printf %s "$database" | sed "s/[\\\\']/\\\\&/g")'" "$@"
    if [ -n "$services" ]; then
        PGSERVICE=$service psql -w -X -q -A -t -v ON_ERROR_STOP=1 "$@"
    elif [ -n "${PGSERVICE:-}" ]; then
        psql -w -X -q -A -t -v ON_ERROR_STOP=1 "$@"
    else
        [ -z "$port" ] || set -- -p "$port" "$@"
        [ -z "$host" ] || set -- -h "$host" "$@"
        psql -w -X -q -A -t -v ON_ERROR_STOP=1 "$@"
    fi
}

run_mysql() {
    set -- --default-character-set=utf8mb4 --comments --batch --skip-column-names "$@"
    [ -z "${MYSQL_USER:-}" ] || set -- "--user=$MYSQL_USER" "$@"
    if [ -n "$services" ]; then
        set -- "--defaults-group-suffix=_$service" "$@"
    else
        [ -z "$port" ] || set -- "--port=$port" "$@"
        case $host in
        '') ;;
        /*) set -- "--socket=$host" --protocol=SOCKET "$@" ;;
        *) set -- "--host=$host" --protocol=TCP "$@" ;;
        esac
    fi
    # It must come first (MySQL manual, "Command-Line Options that Affect Option-File Handling").
    [ -z "$options" ] || set -- "--defaults-file=$options" "$@"
    "$client" "$@"
}

send_postgresql() {
    set -- -f "$sent"
    [ -z "$schema" ] || set -- -v "target=$schema" "$@"
    [ -z "$resumed" ] || set -- -v "orchestrator_at=$rows" -v "orchestrator_journal=$half" "$@"
    run_psql "$@"
}

send_mysql() {
    run_mysql "--database=$database" <"$sent"
}

# Make the target's database where it is missing.
make_database() {
    if [ "$client" = psql ]; then
        (
            wanted=$database database=postgres
            printf '%s\n' "SELECT format('CREATE DATABASE %I', :'wanted') WHERE NOT EXISTS" \
                "(SELECT FROM pg_catalog.pg_database WHERE datname = :'wanted') \\gexec" |
                run_psql -v "wanted=$wanted" -f -
        )
    else
        name=$(printf %s "$database" | sed 's/`/``/g')
        printf 'CREATE DATABASE IF NOT EXISTS `%s`;\n' "$name" | run_mysql
    fi >"$log" 2>&1
}

sql_text() {
    printf "'"
    printf %s "$1" | sed "s/'/''/g"
    printf "'"
}

# Send what stands in the file $sent; gives the client's exit code.
send() {
    rows=$at
    [ "$rows" != base ] || rows=''
    if [ "$client" = psql ]; then
        send_postgresql >"$log" 2>&1
    else
        if [ -n "$resumed" ]; then
            {
                printf 'SET @orchestrator_at = %s;\n' "$(sql_text "$rows")"
                printf 'SET @orchestrator_journal = %s;\n' "$(sql_text "$half")"
                cat "$sent"
            } >"$work/$slot.more"
            mv "$work/$slot.more" "$sent"
        fi
        send_mysql >"$log" 2>&1
    fi
}

said() { sed -n "s/^.*orchestrator: $1: *//p" "$log" | tail -n 1; }

# Servers speak other languages too: then it is the last line of psql that names a line.
last_error() {
    for words in 'ERROR|FATAL|error:' '^psql:.*:[0-9]+: ' .; do
        error=$(grep -E "$words" "$log" | tail -n 1)
        [ -z "$error" ] || break
    done
    case $error in
    'ERROR '*' at line '*) error="$sent: $error" ;;
    esac
    # Cut between characters of UTF-8, not inside one.
    printf '%s\n' "${error:-the client said nothing}" | awk '
        length($0) > 300 { $0 = substr($0, 1, 300); sub(/[\300-\377][\200-\277]*$/, "") }
        { print }'
}

# Send a script's opening alone; again while the session that was here before is ending.
look() {
    sent=$work/$slot.opening
    awk '/^-- @step / { exit } { print }' "$script" >"$sent"
    for _ in 1 2 3; do
        send
        grep -q 'orchestrator: locked' "$log" || return 0
        sleep 1
    done
}

# Where the target stands after a failure: the opening of its script says so, and changes nothing.
# Sets at, to nothing where it could not be asked.
ask_state() {
    kept=$log failure=$sent log=$work/$slot.log resumed='' at=''
    look
    if grep -q '^orchestrator: stands at' "$log"; then
        at=$(sed -n 's/^orchestrator: stands at *//p' "$log" | tail -n 1)
        at=${at:-base}
    fi
    log=$kept sent=$failure
}

# What the journal says of the step that was begun: sets step and first, or result and message.
go_on() {
    set -- $half # shellcheck disable=SC2086 # words are meant
    revision=$1 direction=$2 number=$3 kind=$4 source=$5
    found=$(steps_of $scripts | awk -v r="$revision" -v d="$direction" -v at="$at" '
        ($5 "") == r && $6 == d && ($3 "") == at { print; exit }')
    set -- $found
    if [ $# -eq 0 ]; then
        no_step_here
        return 1
    fi
    script=$1 step=$2
    if [ "$source" != "$7" ]; then
        result=in-doubt
        message="half-way through another text of $revision: see orchestrator repair"
        return 1
    fi
    if [ "$8" = whole ]; then
        result=in-doubt
        message="half-way through $revision, statement $number, which needs the session that began it: see orchestrator repair"
        return 1
    fi
    case $kind in
    data | header) first=$((number + 1)) ;;
    refused) first=$number ;;
    *) ask_evidence || return 1 ;;
    esac
    return 0
}

# Half-way through a step that none of these scripts has: often the other way's.
no_step_here() {
    other='with -u'
    [ -z "$undo" ] || other='without -u'
    result=in-doubt
    message="half-way through the $direction of $revision, which is no step here: bring it to its end first ($other, if it is one there), or see orchestrator repair"
}

# Whether the statement in doubt ran, by its evidence in the database.
ask_evidence() {
    query=$(awk -v step="$step" -v number="$number" '
        /^-- @evidence / && $3 == step && $4 == number {
            sub(/^-- @evidence [0-9]+ [0-9]+ /, ""); print; exit }' "$script")
    printf '%s\n' "$query" >"$work/$slot.query"
    awk -v file="$work/$slot.query" '
        /^-- @step / { inside = 1 }
        /^-- @end/ { inside = 0; while ((getline line < file) > 0) print line }
        !inside' "$script" >"${log%.log}.evidence.sql"
    sent=$work/$slot.sql
    cp "${log%.log}.evidence.sql" "$sent"
    resumed=yes
    if ! send; then
        result=failed
        message="half-way through $revision; what became of statement $number could not be asked: $(last_error)"
        return 1
    fi
    case $(said evidence) in
    ran) first=$((number + 1)) ;;
    not) first=$number ;;
    *)
        result=in-doubt
        message="statement $number of $revision was begun, and nothing tells whether it ran: look (${log%.log}.evidence.sql is what was asked), and decide with: orchestrator repair"
        return 1
        ;;
    esac
    rm -f "${log%.log}.evidence.sql"
}

# After a server has refused a statement: have the journal say so, where the evidence says that it
# did not run. What people change then, to have it run, would look as if it had.
write_refused() {
    [ -n "$at" ] || return 0
    case $message in
    *'ERROR:  '* | *'ERROR '*' at line '*) ;;
    *) return 0 ;;
    esac
    # The server ended the statement or the session: what became of it is asked when it goes on.
    case $message in
    *'ERROR 2006 '* | *'ERROR 2013 '* | *'ERROR 2055 '* | *'ERROR 1053 '* | *'ERROR 1317 '* | *'ERROR 1927 '*) return 0 ;;
    esac
    kept=$log log=$work/$slot.log refusal=$message failure=$sent
    resumed=yes half=''
    look
    half=$(sed -n 's/^orchestrator: half-way *//p' "$log" | tail -n 1)
    case $half in
    *' ddl '* | *' alone '*)
        if go_on && [ "$first" = "$number" ]; then
            sent=$work/$slot.sql resumed=yes
            awk -v step="$step" -v number="$number" '
                /^-- @step / { inside = 1 }
                /^-- @refused / && $3 == step && $4 == number {
                    sub(/^-- @refused [0-9]+ [0-9]+ /, ""); kept = $0 }
                /^-- @end/ { inside = 0; print kept }
                !inside' "$script" >"$sent"
            send
        fi
        ;;
    esac
    result=failed message=$refusal log=$kept sent=$failure
}

# One target: sets result, message and at.
run_target() {
    result='' message='' at='' half='' resumed='' step=1 first=0 waited=0 tries=0
    remaining=$scripts
    script=${remaining%% *}
    [ -n "$script" ] || { at=$start; needs_orchestrator; return; }
    if [ -n "$make" ] && [ -z "$undo" ] && ! make_database; then
        result=failed
        message=$(last_error)
        return
    fi
    while :; do
        if [ -z "$resumed" ]; then
            sent=$script
        else
            sent=${log%.log}.sql
            rest_of "$script" "$step" "$first" >"$sent"
        fi
        if send; then
            [ -z "$resumed" ] || rm -f "$sent"
            at=$(steps_of "$script" | awk 'END { print $4 }')
            rest=${remaining#"$script"}
            remaining=${rest# }
            [ -n "$remaining" ] || { result=done; return; }
            script=${remaining%% *}
            resumed='' step=1 first=0 half='' tries=0
            continue
        fi
        if grep -q 'orchestrator: locked' "$log" || grep -q 'orchestrator: busy' "$log"; then
            if [ "$waited" -ge "$patience" ] || [ -e "$work/stop" ]; then
                result=locked
                message=$(said locked)$(said busy)
                return
            fi
            sleep 1
            waited=$((waited + 1))
            # A step may be half-way where another session was busy: look anew.
            tries=0 resumed='' step=1 first=0 half='' at=''
            continue
        fi
        if grep -q '^orchestrator: begins' "$log"; then
            result=failed
            message=$(last_error)
            ask_state
            write_refused
            return
        fi
        [ -z "$resumed" ] || rm -f "$sent"
        if ! grep -q 'orchestrator: stands at' "$log"; then
            result=failed
            message=$(said refused)
            [ -n "$message" ] || message=$(last_error)
            return
        fi
        tries=$((tries + 1))
        state=$(sed -n 's/^orchestrator: stands at *//p' "$log" | tail -n 1)
        found=$(steps_of $scripts | awk -v at="${state:-base}" '($3 "") == at { print; exit }')
        now_half=$(sed -n 's/^orchestrator: half-way *//p' "$log" | tail -n 1)
        if [ "$tries" -gt 3 ]; then
            result=failed
            message="somebody else works on it: $(said refused)"
            return
        fi
        if [ -z "$found" ]; then
            elsewhere
            return
        fi
        set -- $found
        script=$1 step=$2 first=0 at=${state:-base} resumed=yes half=$now_half
        remaining=$script${scripts##*"$script"}
        if [ -n "$half" ]; then
            go_on || return
        fi
    done
}

# A target at a state that no step starts from.
elsewhere() {
    at=${state:-base}
    if [ "$at" = "$end" ]; then
        result=already
    elif [ "$at" = "$start" ] || steps_of $scripts | awk -v at="$at" '
        ($4 "") == at { found = 1 }
        END { exit !found }'; then
        needs_orchestrator
    else
        result=refused
        message=$(said refused)
        return
    fi
    # The script stopped at the version table, before it looked at the journal.
    resumed=yes half=''
    look
    if ! grep -q '^orchestrator: half-way' "$log"; then
        result=failed
        message=$(said locked)
        [ -z "$message" ] || result=locked
        [ -n "$message" ] || message=$(last_error)
        return
    fi
    half=$(sed -n 's/^orchestrator: half-way *//p' "$log" | tail -n 1)
    [ -n "$half" ] || return
    set -- $half # shellcheck disable=SC2086 # words are meant
    revision=$1 direction=$2
    no_step_here
}

# A step that stands in no script.
needs_orchestrator() {
    result=live
    message="the next step needs orchestrator: see README.md"
}

# Claims are files that only one worker can make.
worker() {
    slot=$1 number_=0
    while IFS=$separator read -r of_bind stage_ on_server client host port database schema tenant_ start end make scripts undoing line_; do
        number_=$((number_ + 1))
        [ "$stage_" = "$stage" ] || continue
        [ ! -e "$work/stop" ] || return 0
        # Whoever kills run-all.sh itself means that it stops.
        kill -0 $$ 2>/dev/null || return 0
        (set -C; : >"$work/claim.$number_") 2>/dev/null || continue
        if [ -n "$undo" ]; then
            scripts=$undoing swapped=$start start=$end end=$swapped
        fi
        case $client in
        mysql) command -v mysql >/dev/null 2>&1 || client=mariadb ;;
        mariadb) command -v mariadb >/dev/null 2>&1 || client=mysql ;;
        esac
        log=logs/$line_-$(printf %s "${schema:-$database}" | tr -c 'A-Za-z0-9._-' _).log
        service=$on_server
        [ "$service" != default ] || service=$of_bind
        began=$(date +%s)
        started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
        run_target </dev/null
        seconds=$(($(date +%s) - began))
        line=$(for value in "$of_bind" "$on_server" "$tenant_" "$schema" "$database" "$result" \
            "$at" "$started" "$seconds" "$message"; do
            quoted "$value"
            printf ,
        done)
        printf '%s\n' "${line%,}" >>"$results"
        echo x >>"$work/ended"
        case $result in
        done | already) ;;
        live) printf '%s\037%s\n' "$of_bind" "$result" >>"$work/live" ;;
        *)
            printf '%s\037%s\n' "$of_bind" "$result" >>"$work/failed"
            printf '%s\n' "$of_bind $on_server $tenant_ ${schema:-$database}: $result: $message ($log)" >&2
            if [ "$(wc -l <"$work/failed")" -gt "$budget" ]; then
                [ -e "$work/stop" ] || echo "run-all.sh: more than $budget failed: nothing new is started" >&2
                : >"$work/stop"
            fi
            ;;
        esac
    done <"$work/targets"
}

# Say which binds come before those that are selected, and are not done as far as results.csv tells.
warn_of_stages() {
    [ -s "$work/unselected" ] && [ "$total" -gt 0 ] || return 0
    before=$(awk -F "$separator" -v undo="$undo" '
        FILENAME == ARGV[1] {
            if (!seen++ || (undo == "" ? $2 > edge : $2 < edge)) edge = $2 + 0
            next
        }
        (undo == "" ? $1 < edge : $1 > edge) && !told[$2]++ { printf " %s", $2 }
    ' "$work/targets" "$work/unselected")
    [ -z "$before" ] ||
        echo "run-all.sh: an earlier stage is not done, as far as $results tells:$before" >&2
}

echo "run-all.sh: $total of $left targets to run, $jobs at a time" >&2
order=-n
[ -z "$undo" ] || order=-rn
warn_of_stages
cut -d "$separator" -f 2 "$work/targets" | sort "$order" | uniq >"$work/stages"
last=$(tail -n 1 "$work/stages")
for stage in $(cat "$work/stages"); do
    [ ! -e "$work/stop" ] || break
    # What depends on a bind that failed is not begun.
    slot=0
    while [ "$slot" -lt "$jobs" ]; do
        slot=$((slot + 1))
        worker "$slot" &
    done
    # A signal ends wait, but not the workers.
    until wait; do :; done
    if { [ -s "$work/failed" ] || [ -s "$work/live" ]; } && [ ! -e "$work/stop" ]; then
        [ "$stage" = "$last" ] ||
            echo "run-all.sh: targets are not at their end: what depends on them is not begun" >&2
        : >"$work/stop"
    fi
done
ended=$(wc -l <"$work/ended" | tr -d ' ')
failed=$(wc -l <"$work/failed" | tr -d ' ')
live=$(wc -l <"$work/live" | tr -d ' ')
waiting=''
[ "$live" -eq 0 ] || waiting=" $live wait for orchestrator (README.md),"
echo "run-all.sh: $((ended - failed - live)) done, $failed failed,$waiting" \
    "$((total - ended)) not started; see $results" >&2
[ "$failed" -eq 0 ] && [ "$live" -eq 0 ] && [ "$ended" -eq "$total" ]
