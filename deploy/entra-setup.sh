#!/bin/sh
# Stages 1 to 3 of the set-up in Microsoft Entra by Azure CLI: the app is registered, gets its three permissions with
# admin consent, and a credential. Prints what stage 4 asks for. Run it again whenever you like: what is there stays.
#
#   deploy/entra-setup.sh --dry-run      says what it would do, and changes nothing
#
# Needs: az (https://learn.microsoft.com/cli/azure), signed in as an admin who may grant consent:
#   az login --allow-no-subscriptions
set -eu

GRAPH=00000003-0000-0000-c000-000000000000 # https://learn.microsoft.com/graph/permissions-reference
ROLES="User.ReadBasic.All Mail.Send Mail.ReadWrite"
LABEL=selma-gateway

name="SELMA mail gateway"
app_id=
months=6 # Microsoft advises less than 12
certificate=
new_secret=
dry_run=

usage() {
    cat <<END
Usage: deploy/entra-setup.sh [options]
  --name NAME          of the app ("$name")
  --app-id ID          use this app, whatever its name
  --months N           how long a new client secret is good for ($months)
  --new-secret         add a client secret although there is one; the old one stays valid
  --certificate FILE   upload this certificate instead (made by: selma-gateway account rotate --kind certificate)
  --dry-run            say what would be done, and change nothing
END
}

fail() {
    echo "entra-setup: $*" >&2
    exit 1
}

say() {
    echo "$*" >&2
}

# Runs a command that changes something, unless it is only to be told.
change() {
    what=$1
    shift
    if [ -n "$dry_run" ]; then
        say "would: $what"
    else
        say "$what"
        "$@"
    fi
}

options() {
    while [ $# -gt 0 ]; do
        case $1 in
        --name | --app-id | --months | --certificate)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
            --name) name=$2 ;;
            --app-id) app_id=$2 ;;
            --months) months=$2 ;;
            --certificate) certificate=$2 ;;
            esac
            shift
            ;;
        --new-secret) new_secret=1 ;;
        --dry-run) dry_run=1 ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            fail "unknown option $1"
            ;;
        esac
        shift
    done
    case $months in '' | *[!0-9]* | 0*) fail "--months is a number from 1 to 24" ;; esac
    [ "$months" -le 24 ] || fail "--months is a number from 1 to 24"
    case $name in *\'*) fail "--name must not have a quote in it" ;; esac
    [ -z "$certificate" ] || [ -r "$certificate" ] || fail "there is no file $certificate"
}

# Stage 1: the app and its service principal.
register() {
    if [ -z "$app_id" ]; then
        found=$(az ad app list --filter "displayName eq '$name'" --query "[].appId" --output tsv)
        case $(printf '%s' "$found" | grep -c .) in
        0) ;;
        1) app_id=$found ;;
        *) fail "there are several apps named \"$name\"; say which with --app-id" ;;
        esac
    fi
    if [ -n "$app_id" ]; then
        say "The app is there: $app_id"
    else
        app_id=$(change "Registering the app \"$name\"" az ad app create --display-name "$name" \
            --sign-in-audience AzureADMyOrg --query appId --output tsv)
    fi
    principal=
    [ -z "$app_id" ] || principal=$(az ad sp list --filter "appId eq '$app_id'" --query "[].id" --output tsv)
    if [ -z "$principal" ]; then
        principal=$(change "Making its service principal" az ad sp create --id "$app_id" --query id --output tsv)
    fi
}

# Stage 3: what the app asks for, and the consent to exactly that.
permit() {
    graph_principal=$(az ad sp show --id "$GRAPH" --query id --output tsv)
    known_roles=$(az ad sp show --id "$GRAPH" --output tsv \
        --query "appRoles[?value=='User.ReadBasic.All' || value=='Mail.Send' || value=='Mail.ReadWrite'].[value,id]")
    asked=''
    granted=''
    if [ -n "$app_id" ]; then
        asked=$(az ad app show --id "$app_id" --query "requiredResourceAccess[].resourceAccess[].id" --output tsv)
    fi
    if [ -n "$principal" ]; then
        granted=$(az rest --method GET --url "$graph_host/v1.0/servicePrincipals/$principal/appRoleAssignments" \
            --query "value[].appRoleId" --output tsv)
    fi
    for role in $ROLES; do
        id=$(printf '%s\n' "$known_roles" | awk -v role="$role" '$1 == role { print $2 }')
        [ -n "$id" ] || fail "Microsoft Graph has no application permission $role in this cloud"
        case $asked in
        *"$id"*) ;;
        *) change "Asking for $role" az ad app permission add --id "$app_id" --api "$GRAPH" \
            --api-permissions "$id=Role" --only-show-errors >/dev/null ;;
        esac
        case $granted in
        *"$id"*) say "$role is granted" ;;
        *) change "Granting $role" az rest --method POST \
            --url "$graph_host/v1.0/servicePrincipals/$principal/appRoleAssignments" \
            --body "{\"principalId\":\"$principal\",\"resourceId\":\"$graph_principal\",\"appRoleId\":\"$id\"}" \
            --output none ;;
        esac
    done
}

# Stage 2: a secret, whose value is shown this once, or a certificate.
prove() {
    secret=''
    expires=''
    if [ -n "$certificate" ]; then
        change "Uploading the certificate" az ad app credential reset --id "$app_id" --append \
            --cert "@$certificate" --output none
        return
    fi
    known=
    if [ -n "$app_id" ]; then
        known=$(az ad app credential list --id "$app_id" \
            --query "[?displayName=='$LABEL' && endDateTime>'$(date -u +%Y-%m-%dT%H:%M:%SZ)'].endDateTime" --output tsv)
    fi
    if [ -n "$known" ] && [ -z "$new_secret" ]; then
        say "There is a client secret already, and its value cannot be shown again. For another one: --new-secret"
        return
    fi
    expires=$(date -u -d "+$months months" +%Y-%m-%d 2>/dev/null || date -u -v "+${months}m" +%Y-%m-%d)
    secret=$(change "Adding a client secret until $expires" az ad app credential reset --id "$app_id" --append \
        --display-name "$LABEL" --end-date "$expires" --query password --output tsv --only-show-errors)
}

report() {
    cloud_option=
    [ "$cloud" = global ] || cloud_option=" --cloud $cloud"
    [ -z "$expires" ] || expires_option=" --secret-expires $expires"
    cat <<END

Stage 4: enter these in SELMA under Account-Level Configuration
  Directory (tenant) ID    $tenant
  Application (client) ID  ${app_id:-(made when this is no dry run)}
  Client secret (value)    ${secret:-(not shown: see above)}
  Secret expires           ${expires:-(see Entra, Certificates & secrets)}
  Cloud                    $cloud

Or by command line, which asks for the secret:
  selma-gateway account set --tenant-id $tenant --client-id ${app_id:-ID}${expires_option:-}$cloud_option
END
}

options "$@"
command -v az >/dev/null 2>&1 || fail "az is not there. Install the Azure CLI: https://learn.microsoft.com/cli/azure"
tenant=$(az account show --query tenantId --output tsv 2>/dev/null) ||
    fail "nobody is signed in. First: az login --allow-no-subscriptions"
graph_host=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
graph_host=${graph_host%/}
case $(az cloud show --query name --output tsv) in
AzureUSGovernment) cloud=gcc_high ;; # a DoD tenant says --cloud dod to the gateway
AzureChinaCloud) cloud=china ;;
*) cloud=global ;;
esac
register
permit
prove
report
